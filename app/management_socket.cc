// Paths of management sockets.
#include "management_socket.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace selvage::app {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
    return value == nullptr ? "" : value;
}

std::vector<fs::path> folders() {
    std::vector<fs::path> out;
    const std::string runtime = variable("XDG_RUNTIME_DIR");
    if (!runtime.empty()) out.push_back(fs::path(runtime) / "selvage");
    if (::geteuid() == 0) out.emplace_back("/run/selvage");
    const std::string home = variable("HOME");
    if (!home.empty()) out.push_back(fs::path(home) / ".selvage");
    return out;
}

// Instance names are free text; file names are not.
std::string file_name(const std::string& instance_name) {
    std::string out;
    for (const char c : instance_name) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                           (c == '.' && !out.empty());
        out.push_back(plain ? c : '_');
    }
    return out + ".sock";
}

}  // namespace

Result<std::string> make_socket_path(const std::string& instance_name) {
    const auto all = folders();
    if (all.empty()) {
        return Error(
            Errc::not_found,
            "no place for the management socket: set XDG_RUNTIME_DIR or HOME, or use --socket"
        );
    }
    std::error_code failed;
    const fs::path& folder = all.front();
    if (fs::create_directories(folder, failed)) {
        fs::permissions(folder, fs::perms::owner_all, failed);
    }
    if (failed) return Error(failed, fmt::format("{}: {}", folder.string(), failed.message()));
    return (folder / file_name(instance_name)).string();
}

std::vector<std::string> candidate_sockets(const std::string& instance_name) {
    std::vector<std::string> out;
    for (const fs::path& folder : folders())
        out.push_back((folder / file_name(instance_name)).string());
    return out;
}

std::vector<std::string> existing_sockets() {
    std::vector<std::string> out;
    for (const fs::path& folder : folders()) {
        std::error_code failed;
        for (const auto& entry : fs::directory_iterator(folder, failed)) {
            if (entry.path().extension() == ".sock") out.push_back(entry.path().string());
        }
    }
    std::ranges::sort(out);
    return out;
}

}  // namespace selvage::app
