// Protobuf writes to stderr whatever a stranger's message has wrong with it, once per message.
#pragma once

namespace selvage::rpc {

// Ends that. Called by whatever parses messages of peers; once per process is enough.
void silence_protobuf();

}  // namespace selvage::rpc
