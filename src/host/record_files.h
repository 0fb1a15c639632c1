// Files that only grow, for their owner alone: what recordings need from the operating system.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "rt/task.h"

namespace selvage::host {

// Destroying it closes it when all has been written.
class RecordFile {
public:
    virtual ~RecordFile() = default;
    virtual void append(std::string text) = 0;  // never blocks
    virtual rt::Task<> room() = 0;              // until at most 256 KiB wait to be written
    virtual bool failed() const = 0;
};

struct OpenedRecordFile {
    std::unique_ptr<RecordFile> file;
    std::uint64_t used = 0;  // bytes of all files of that ending in the folder
};

class RecordFiles {
public:
    virtual ~RecordFiles() = default;
    // Makes NAME.cast, or NAME-2.cast and so on if there is one, readable for its owner alone; and
    // the folder if it is missing. Errors: denied when the folder is not ours, or others may write
    // to it.
    virtual rt::Task<Result<OpenedRecordFile>> create(std::string folder, std::string name) = 0;
};

}  // namespace selvage::host
