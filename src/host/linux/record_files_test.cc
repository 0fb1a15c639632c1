// Recordings on a real disk.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "host/linux/host.h"
#include "rt/test_loop.h"

namespace selvage::host {
namespace {

namespace fs = std::filesystem;

struct RecordFilesTest : testing::Test {
    RecordFilesTest() {
        std::string pattern = (fs::temp_directory_path() / "slvrec-XXXXXX").string();
        root = ::mkdtemp(pattern.data());
    }
    ~RecordFilesTest() override { fs::remove_all(root); }
    rt::Task<Result<OpenedRecordFile>> create(std::string name) {
        co_return co_await files->create(folder(), std::move(name));
    }
    std::string folder() const { return (root / "casts").string(); }
    std::string text_of(const std::string& name) const {
        std::ifstream in(root / "casts" / name);
        std::stringstream out;
        out << in.rdbuf();
        return out.str();
    }

    fs::path root;
    rt::TestLoop loop;
    std::unique_ptr<RecordFiles> files = make_linux_record_files(loop.runtime());
};

TEST_F(RecordFilesTest, AreForTheirOwnerAloneAndNeverReplaceOne) {
    auto first = loop.run(create("one"));
    ASSERT_TRUE(first);
    first->file->append("hello ");
    first->file->append("there");
    first->file.reset();
    ASSERT_TRUE(loop.run_until([&] { return text_of("one.cast") == "hello there"; }));
    struct stat facts{};
    ASSERT_EQ(::stat((root / "casts" / "one.cast").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777U, 0600U);
    ASSERT_EQ(::stat(folder().c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777U, 0700U);
    auto second = loop.run(create("one"));
    ASSERT_TRUE(second);
    EXPECT_EQ(second->used, 11U);
    EXPECT_TRUE(fs::exists(root / "casts" / "one-2.cast"));
}

TEST_F(RecordFilesTest, AFolderThatOthersMayChangeIsRefused) {
    fs::create_directory(folder());
    ASSERT_EQ(::chmod(folder().c_str(), 0777), 0);
    const auto refused = loop.run(create("one"));
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().is(Errc::denied));
}

TEST_F(RecordFilesTest, ALinkIsNoFolder) {
    fs::create_directory(root / "elsewhere");
    fs::create_directory_symlink(root / "elsewhere", folder());
    EXPECT_FALSE(loop.run(create("one")));
}

}  // namespace
}  // namespace selvage::host
