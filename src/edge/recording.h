// The recording of a session: what is shown goes to a file, and what cannot be recorded is not
// shown. So a full disk or a reached limit ends sessions instead of leaving gaps, and nobody can
// flood a recording away: no old one is removed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "edge/asciicast.h"
#include "rt/task.h"

namespace selvage::edge {

// A file that grows. Destroying it closes it when all has been written.
class RecordingFile {
public:
    virtual ~RecordingFile() = default;
    // Never blocks; what waits to be written is bounded by who waits for room().
    virtual void append(std::string text) = 0;
    // Until little waits to be written, or writing has failed.
    virtual rt::Task<> room() = 0;
    virtual bool failed() const = 0;
};

struct OpenedRecording {
    std::unique_ptr<RecordingFile> file;
    std::uint64_t used = 0;  // bytes of all recordings in the folder
};

// Files for their owner alone. The node plugs in an implementation that knows the OS.
class RecordingStore {
public:
    virtual ~RecordingStore() = default;
    // A new file NAME.cast in a folder, which is made if it is missing. Errors: denied (the folder
    // is somebody else's, or others may write to it) and those of the OS.
    virtual rt::Task<Result<OpenedRecording>> create(std::string folder, std::string name) = 0;
};

struct RecordingOptions {
    std::string folder;  // empty: nothing is recorded
    std::uint64_t file_bytes_max = 0;
    std::uint64_t total_bytes_max = 0;  // of the folder
};

class SessionRecording {
public:
    // `total` counts for all sessions of a service and outlives this.
    SessionRecording(
        std::unique_ptr<RecordingFile> file, const RecordingOptions& options, std::uint64_t& total,
        TimePoint began
    )
        : file_(std::move(file)), options_(options), total_(total), cast_(began) {}

    // False when there is no room for it, or writing failed: it must not be shown, and the session
    // ends.
    bool add_header(TerminalSize size, WallTime at, std::string_view term, std::string_view title) {
        return add(Asciicast::header(size, at, term, title));
    }
    bool add_output(ByteView bytes, TimePoint now) { return add(cast_.output(bytes, now)); }
    bool add_resize(TerminalSize size, TimePoint now) { return add(cast_.resize(size, now)); }
    rt::Task<> room() { return file_->room(); }

private:
    bool add(std::string line);

    std::unique_ptr<RecordingFile> file_;
    const RecordingOptions& options_;
    std::uint64_t& total_;
    std::uint64_t bytes_ = 0;
    Asciicast cast_;
};

// "20261122T230501Z-7-laptop": when, which session, and of whom as far as that can be a file name.
std::string recording_name(WallTime at, std::uint64_t session, std::string_view host_name);

}  // namespace selvage::edge
