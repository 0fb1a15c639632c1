// Settings of /proc/sys/net/ipv4 as options of our stack.
#include "tests/packetdrill/system_settings.h"

#include <fstream>
#include <string>

namespace selvage::packetdrill {
namespace {

int setting(const char* name, int otherwise) {
    std::ifstream file(std::string("/proc/sys/net/ipv4/") + name);
    int value = otherwise;
    return file >> value ? value : otherwise;
}

netstack::CongestionAlgorithm congestion_control() {
    std::ifstream file("/proc/sys/net/ipv4/tcp_congestion_control");
    std::string name;
    file >> name;
    if (name == "bbr") return netstack::CongestionAlgorithm::bbr;
    if (name == "reno") return netstack::CongestionAlgorithm::new_reno;
    return netstack::CongestionAlgorithm::cubic;
}

netstack::EcnMode ecn_mode() {
    switch (setting("tcp_ecn", 2)) {
        case 0:
            return netstack::EcnMode::off;
        case 1:
            return netstack::EcnMode::request;
        default:
            return netstack::EcnMode::accept;
    }
}

}  // namespace

DeviceQueue device_queue() {
    std::ifstream file("/proc/sys/net/ipv4/device_queue");
    std::string kind, word, limit;
    file >> kind >> word >> limit;
    if (kind == "fq") return DeviceQueue::paced;
    return word == "limit" && limit == "0" ? DeviceQueue::takes_nothing : DeviceQueue::plain;
}

netstack::StackOptions options_from_system() {
    netstack::StackOptions options;
    options.mtu = 1500;
    options.receive_buffer_max = 15 * 1024 * 1024;
    // Scripts write all at once and never wait, which is Linux' accounting of SO_SNDBUF.
    options.send_buffer_first = options.send_buffer_max = 4 * 1024 * 1024;
    options.timestamps = setting("tcp_timestamps", 1) != 0;
    options.ecn = ecn_mode();
    options.congestion = congestion_control();
    options.pace_windows = device_queue() == DeviceQueue::paced;
    options.push_every_segments = static_cast<std::uint32_t>(setting("tcp_min_tso_segs", 2));
    return options;
}

}  // namespace selvage::packetdrill
