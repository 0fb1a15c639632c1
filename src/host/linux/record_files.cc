// Recordings on disk, written by workers: one write of a file at a time, so that they keep their
// order; what comes meanwhile waits in memory and leaves with the next one.
#include "host/record_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>

#include "base/log.h"
#include "host/linux/host.h"
#include "host/linux/os.h"
#include "rt/event.h"

namespace selvage::host {
namespace {

constexpr std::size_t kWaitingMax = 256 * 1024;
constexpr int kNamesTried = 9;
constexpr std::string_view kEnding = ".cast";

// Zero, or the errno of what did not work.
int write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t sent = ::write(fd, text.data(), text.size());
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return errno;
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return 0;
}

// Shared with the write that is on its way, which may outlive the file's owner.
struct Writing {
    Writing(rt::Runtime& rt, Fd file) : runtime(rt), fd(std::move(file)), changed(rt) {}
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    ~Writing() {
        // The loop ended before its workers were done: better late than never.
        if (!failed) static_cast<void>(write_all(fd.get(), waiting));
    }
    rt::Runtime& runtime;
    Fd fd;
    std::string waiting;  // see room()
    bool busy = false;
    bool failed = false;
    rt::Event changed;
};

void write_next(const std::shared_ptr<Writing>& self) {
    self->busy = !self->waiting.empty() && !self->failed;
    if (!self->busy) return;
    self->runtime.workers().submit([self, text = std::exchange(self->waiting, {})]() mutable {
        const int error = write_all(self->fd.get(), text);
        rt::Runtime& runtime = self->runtime;
        runtime.post([self = std::move(self), error] {
            if (error != 0) self->failed = true;
            self->changed.notify();
            write_next(self);
        });
    });
}

class LinuxRecordFile final : public RecordFile {
public:
    LinuxRecordFile(rt::Runtime& runtime, Fd fd)
        : writing_(std::make_shared<Writing>(runtime, std::move(fd))) {}
    void append(std::string text) override {
        writing_->waiting += text;
        if (!writing_->busy) write_next(writing_);
    }
    rt::Task<> room() override { return room_in(writing_); }
    bool failed() const override { return writing_->failed; }

private:
    static rt::Task<> room_in(std::shared_ptr<Writing> writing) {
        while (writing->waiting.size() > kWaitingMax && !writing->failed)
            co_await writing->changed.wait();
    }
    std::shared_ptr<Writing> writing_;
};

struct Opened {
    Fd fd;
    std::uint64_t used = 0;
    std::optional<Error> error;
};

Result<Fd> open_folder(const std::string& path) {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    Fd folder(::open(path.c_str(), kFlags));
    if (!folder && errno == ENOENT && ::mkdir(path.c_str(), S_IRWXU) == 0) {
        folder = Fd(::open(path.c_str(), kFlags));
    }
    if (!folder) return os_error(errno, path);
    struct stat facts{};
    if (::fstat(folder.get(), &facts) != 0) return os_error(errno, path);
    if (facts.st_uid != ::geteuid() || (facts.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return Error(Errc::denied, path + " is somebody else's, or others may write to it");
    }
    return folder;
}

std::uint64_t used_in(int folder) {
    std::uint64_t used = 0;
    Fd again(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!again) return used;
    DIR* const list = ::fdopendir(again.get());
    if (list == nullptr) return used;
    static_cast<void>(again.release());  // the list owns it now
    // One list, one thread: nobody else reads it.
    while (const dirent* entry = ::readdir(list)) {  // NOLINT(concurrency-mt-unsafe)
        struct stat facts{};
        if (!std::string_view(entry->d_name).ends_with(kEnding)) continue;
        if (::fstatat(folder, entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;
        used += static_cast<std::uint64_t>(facts.st_size);
    }
    ::closedir(list);
    return used;
}

Opened open_new(const std::string& path, const std::string& name) {
    Opened out;
    auto folder = open_folder(path);
    if (!folder) {
        out.error = std::move(folder).error();
        return out;
    }
    out.used = used_in(folder->get());
    for (int i = 1; i <= kNamesTried; ++i) {
        const std::string file =
            i == 1 ? fmt::format("{}{}", name, kEnding) : fmt::format("{}-{}{}", name, i, kEnding);
        constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        out.fd = Fd(::openat(folder->get(), file.c_str(), kFlags, S_IRUSR | S_IWUSR));
        if (out.fd || errno != EEXIST) break;
    }
    if (!out.fd) out.error = os_error(errno, path);
    return out;
}

class LinuxRecordFiles final : public RecordFiles {
public:
    explicit LinuxRecordFiles(rt::Runtime& runtime) : runtime_(runtime) {}
    rt::Task<Result<OpenedRecordFile>> create(std::string folder, std::string name) override {
        Opened opened = co_await rt::run_on_worker(
            runtime_,
            [folder = std::move(folder), name = std::move(name)] { return open_new(folder, name); }
        );
        if (opened.error) co_return std::move(*opened.error);
        co_return OpenedRecordFile{
            .file = std::make_unique<LinuxRecordFile>(runtime_, std::move(opened.fd)),
            .used = opened.used
        };
    }

private:
    rt::Runtime& runtime_;
};

}  // namespace

std::unique_ptr<RecordFiles> make_linux_record_files(rt::Runtime& runtime) {
    return std::make_unique<LinuxRecordFiles>(runtime);
}

}  // namespace selvage::host
