// Reads the tree like a reviewer: the rules of docs/architecture.md that a text search can check.
// Rules that are not tested are wishes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "source_tree.h"

namespace selvage::tree {
namespace {

constexpr std::size_t kFunctionLines = 70;
constexpr std::size_t kTestLines = 120;  // a conversation that is tested may be longer than code
constexpr std::size_t kFileLines = 600;

// Files over kFileLines that stay so, each with its reason. Empty, and better so.
bool may_be_long(const SourceFile&) {
    return false;
}

using Exempt = bool (*)(const SourceFile&);

// Every place outside tests where one of `words` stands, except in exempt files.
std::vector<std::string> places_of(const std::vector<std::string_view>& words, Exempt exempt) {
    std::vector<std::string> found;
    for (const auto& file : cpp_files()) {
        if (!file.in("src/") && !file.in("sim/")) continue;
        if (file.is_test() || exempt(file)) continue;
        for (std::size_t i = 0; i < file.code.size(); ++i) {
            for (const auto word : words) {
                if (find_word(file.code[i], word) == std::string_view::npos) continue;
                found.push_back(fmt::format("{}:{}: {}", file.name, i + 1, word));
            }
        }
    }
    return found;
}

TEST(Tidy, OnlyRtAndHostReadClocksDrawEntropyOrStartThreads) {
    const auto found = places_of(
        {"steady_clock::now", "system_clock::now", "high_resolution_clock", "random_device",
         "this_thread", "std::thread", "std::jthread", "std::async", "clock_gettime",
         "gettimeofday", "std::time", "::time", "nanosleep", "usleep", "std::rand", "srand"},
        [](const SourceFile& file) { return file.in("src/rt/") || file.in("src/host/linux/"); }
    );
    EXPECT_EQ(report("section 7: take a Runtime& or `now` instead", found), "");
}

TEST(Tidy, OnlyRtAndHostCallTheOperatingSystem) {
    const auto found = places_of(
        {"getaddrinfo", "gethostbyname", "socket(",     "::bind(",    "::listen(", "::accept4(",
         "recvmmsg",    "sendmmsg",      "::recvmsg(",  "::sendmsg(", "ioctl",     "fork(",
         "execve",      "execv",         "posix_spawn", "forkpty",    "openpty",   "posix_openpt",
         "system(",     "popen",         "waitpid",     "::kill(",    "setuid",    "setgid",
         "getpwnam",    "getpwuid",      "getpwnam_r",  "::open(",    "::read(",   "::write(",
         "::close(",    "gethostname",   "::mmap("},
        [](const SourceFile& file) { return file.in("src/rt/") || file.in("src/host/linux/"); }
    );
    EXPECT_EQ(report("section 7: the operating system is behind host/", found), "");
}

TEST(Tidy, EntropyForKeysComesFromCrypto) {
    const auto found = places_of(
        {"getrandom", "getentropy", "RAND_bytes", "RAND_priv_bytes", "arc4random"},
        [](const SourceFile& file) {
            return file.in("src/rt/") || file.in("src/host/linux/") || file.in("src/crypto/");
        }
    );
    EXPECT_EQ(report("section 7: keys come from crypto, all else from Runtime::rng", found), "");
}

TEST(Tidy, LocksAndAtomicsAreInRtTheLoggerAndThePublicHandlesOnly) {
    const auto found = places_of(
        {"std::mutex", "std::shared_mutex", "std::recursive_mutex", "std::lock_guard",
         "std::unique_lock", "std::scoped_lock", "std::condition_variable", "std::atomic",
         "std::atomic_flag", "std::call_once", "std::latch", "std::counting_semaphore",
         "std::binary_semaphore", "std::future", "std::promise", "thread_local"},
        [](const SourceFile& file) {
            return file.in("src/rt/") || file.in("src/base/log.") || file.in("include/selvage/");
        }
    );
    EXPECT_EQ(report("section 6: send a value instead of sharing one", found), "");
}

TEST(Tidy, NothingIsDetached) {
    const auto found = places_of({"asio::detached", "co_spawn"}, [](const SourceFile& file) {
        return file.in("src/rt/");
    });
    EXPECT_EQ(report("section 5: every coroutine belongs to a TaskScope", found), "");
}

TEST(Tidy, OnlyTheLoggerPrints) {
    const auto found = places_of(
        {"std::cout", "std::cerr", "std::clog", "printf(", "fprintf(", "puts("},
        [](const SourceFile& file) {
            // Without entropy there is nobody left to log to: random.cc ends the process.
            return file.in("src/base/log.") || file.in("src/crypto/random.cc");
        }
    );
    EXPECT_EQ(report("section 9: a line goes through Log", found), "");
}

TEST(Tidy, EveryFileBeginsBySayingWhatItIsFor) {
    std::vector<std::string> found;
    const auto files = read_files(
        {"src", "app", "sim", "include", "tests", "fuzz", "bench", "proto", "cmake", "scripts"},
        {".h", ".cc", ".proto", ".cmake", ".py", ".sh", "CMakeLists.txt"}
    );
    for (const auto& file : files) {
        const std::string_view text = file.text;
        const bool python = file.ends_with(".py");
        const bool shell = file.ends_with(".sh") && text.starts_with("#!");
        const bool hash = file.ends_with(".cmake") || file.ends_with("CMakeLists.txt");
        const auto first = text.substr(0, text.find('\n'));
        const auto second = text.substr(std::min(text.size(), first.size() + 1));
        const bool fine = python  ? text.starts_with("\"\"\"") || second.starts_with("\"\"\"")
                          : shell ? second.starts_with("# ")
                          : hash  ? text.starts_with("# ")
                                  : text.starts_with("// ");
        if (!fine) found.push_back(file.name);
    }
    EXPECT_EQ(report("style 1: a first-line comment is missing", found), "");
}

TEST(Tidy, HeadersAreIncludedOnce) {
    std::vector<std::string> found;
    for (const auto& file : cpp_files()) {
        if (file.ends_with(".h") && file.text.find("\n#pragma once\n") == std::string::npos) {
            found.push_back(file.name);
        }
    }
    EXPECT_EQ(report("#pragma once is missing", found), "");
}

TEST(Tidy, FunctionsFitOnAScreen) {
    std::vector<std::string> found;
    for (const auto& file : cpp_files()) {
        const auto limit = file.is_test() ? kTestLines : kFunctionLines;
        for (const auto& function : functions_of(file)) {
            if (function.lines <= limit) continue;
            found.push_back(
                fmt::format("{}:{}: {} lines", file.name, function.first_line, function.lines)
            );
        }
    }
    EXPECT_EQ(report(fmt::format("functions over {} lines", kFunctionLines), found), "");
}

TEST(Tidy, FilesHoldOneNoun) {
    std::vector<std::string> found;
    for (const auto& file : cpp_files()) {
        if (file.code.size() > kFileLines + 1 && !may_be_long(file)) {
            found.push_back(fmt::format("{}: {} lines", file.name, file.code.size() - 1));
        }
    }
    EXPECT_EQ(
        report(fmt::format("files over {} lines: look for the second noun", kFileLines), found), ""
    );
}

TEST(Tidy, NothingIsLeftToDo) {
    // Spelt in halves, so that this file does not find itself.
    const std::vector<std::string> marks{
        "TO"
        "DO",
        "FIX"
        "ME",
        "X"
        "XX",
        "HA"
        "CK"
    };
    std::vector<std::string> found;
    const auto files = read_files(
        {"src", "app", "sim", "include", "tests", "fuzz", "bench", "proto", "cmake", "scripts",
         "docs"},
        {".h", ".cc", ".proto", ".cmake", ".py", ".sh", ".txt", ".md"}
    );
    for (const auto& file : files) {
        for (const auto& mark : marks) {
            const auto at = find_word(file.text, mark);
            if (at != std::string_view::npos) found.push_back(file.name + ": " + mark);
        }
    }
    EXPECT_EQ(report("finish it, or open an issue", found), "");
}

TEST(Tidy, NothingNamesAMachine) {
    const std::vector<std::string> paths{
        "/wo"
        "rk/",
        "/ho"
        "me/",
        "/tm"
        "p/et",
        "/ro"
        "ot/"
    };
    std::vector<std::string> found;
    const auto files = read_files(
        {"src", "app", "sim", "include", "tests", "fuzz", "bench", "proto", "cmake", "scripts",
         "docs"},
        {".h", ".cc", ".proto", ".cmake", ".py", ".sh", ".txt", ".md", ".json", ".toml"}
    );
    for (const auto& file : files) {
        for (const auto& path : paths) {
            if (file.text.find(path) != std::string::npos) found.push_back(file.name + ": " + path);
        }
    }
    EXPECT_EQ(report("paths of one machine do not belong here", found), "");
}

TEST(Tidy, VectorsSayWhatTheyAre) {
    std::vector<std::string> found;
    for (const auto& file : read_files({"tests/vectors"}, {".json"})) {
        if (file.text.find("\"subject\"") == std::string::npos ||
            file.text.find("\"name\"") == std::string::npos) {
            found.push_back(file.name);
        }
    }
    for (const auto& file :
         read_files({"tests/vectors", "src/netstack/core/testdata"}, {".hex", ".pkt"})) {
        if (!file.text.starts_with("#") && !file.text.starts_with("//")) found.push_back(file.name);
    }
    EXPECT_EQ(report("a vector without a comment proves nothing to a reader", found), "");
}

// The rules above are only as good as the reading of the tree.
TEST(SourceTree, FindsFunctionsAndTheirLength) {
    SourceFile file{
        .name = "x.cc",
        .text = "",
        .code =
            {"namespace a {", "int f(int x) {", "    if (x) {", "    }", "}", "struct S {",
             "    int g() const { return 1; }", "    int y = 0;", "};", "const T t{", "};", "}"}
    };
    const auto found = functions_of(file);
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].first_line, 2u);
    EXPECT_EQ(found[0].lines, 4u);
    EXPECT_EQ(found[1].lines, 1u);
}

TEST(SourceTree, FindsWholeWordsOnly) {
    EXPECT_EQ(find_word("void resocket(int)", "socket("), std::string_view::npos);
    EXPECT_EQ(find_word("x = socket(1)", "socket("), 4u);
    EXPECT_EQ(find_word("std::atomic<int> x", "std::atomic"), 0u);
}

TEST(SourceTree, ReadsTheWholeTree) {
    EXPECT_GT(cpp_files().size(), 20u);  // an empty tree would satisfy every rule
}

}  // namespace
}  // namespace selvage::tree
