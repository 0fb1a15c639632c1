// Our own counters say what was malformed; a log that strangers can fill says nothing.
#include "rpc/protobuf.h"

#include <google/protobuf/stubs/logging.h>

namespace selvage::rpc {

void silence_protobuf() {
    static google::protobuf::LogHandler* const previous = google::protobuf::SetLogHandler(nullptr);
    (void)previous;
}

}  // namespace selvage::rpc
