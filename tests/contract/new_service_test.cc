// docs/howto/add-a-service.md followed literally: the service of that page, in one file, and what
// it has without further ado.
//
// Between the two marks stands the page's code, word for word; the last test compares them.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "edge/test_fakes.h"

// BEGIN greet.cc
// greet: says hello to its caller by name, and good-bye.
#include "edge/service.h"

namespace selvage::edge {
namespace {

struct GreetOptions {
    std::string word;
};

GreetOptions read_options(OptionReader& in) {
    return {.word = in.text("word", "hello")};
}

class Greet final : public Service {
public:
    explicit Greet(ServiceContext& context) : context_(context) { reconfigure(); }

    rt::Task<Result<>> serve(rt::StreamPtr stream, Caller caller) override {
        const std::string line = fmt::format("{}, {}\r\n", options_.word, caller.to_string());
        context_.sessions.note(caller.session, "greeting");
        co_return co_await stream->write_all(as_view(line));
    }

    bool reconfigure() override {
        std::vector<OptionProblem> ignored;  // check() has reported them
        OptionReader in(context_.options, "", {}, ignored);
        options_ = read_options(in);
        return true;
    }

private:
    ServiceContext& context_;
    GreetOptions options_;
};

}  // namespace

extern const ServiceSpec greet_service;
const ServiceSpec greet_service{
    .name = "greet",
    .summary = "says hello",
    .default_port = 4000,
    .check = [](OptionReader& own) { static_cast<void>(read_options(own)); },
    .make = [](ServiceContext& context) -> std::unique_ptr<Service> {
        return std::make_unique<Greet>(context);
    },
};

}  // namespace selvage::edge
// END greet.cc

namespace selvage::edge {
namespace {

ServiceOptions greet_options(OptionTable table, std::vector<OptionProblem>& problems) {
    table.set("enabled", OptionValue(true, {}));
    table.set("allow", OptionValue(std::string("laptop"), {}));
    return read_service_options(greet_service, table, {}, problems);
}

ServiceOptions greet_with(std::string word) {
    OptionTable table;
    table.set("word", OptionValue(std::move(word), {}));
    std::vector<OptionProblem> problems;
    auto options = greet_options(std::move(table), problems);
    EXPECT_TRUE(problems.empty());
    return options;
}

TEST(NewService, ServesWhoIsAllowedAndNobodyElse) {
    ServiceWorld world(greet_with("good day"));
    ASSERT_TRUE(world.host->start());
    auto client = world.ports.connect(4000);
    EXPECT_EQ(client->received(), "good day, Laptop (peer 7) 10.144.1.7:50000\r\n");
    EXPECT_TRUE(client->ended());
    auto phone = world.ports.connect(4000, IpAddress::v4(10, 144, 1, 8));
    EXPECT_EQ(phone->received(), "");
    EXPECT_EQ(world.info().counters.refused_not_allowed, 1U);
}

TEST(NewService, TakesNewOptionsWhileItRuns) {
    ServiceWorld world(greet_with("good day"));
    ASSERT_TRUE(world.host->start());
    std::vector<ServiceOptions> changed;
    changed.push_back(greet_with("good night"));
    ASSERT_TRUE(world.host->apply(std::move(changed)));
    EXPECT_TRUE(world.ports.connect(4000)->received().starts_with("good night, Laptop"));
}

TEST(NewService, AnUnknownKeyIsAMistake) {
    OptionTable table;
    table.set("wrod", OptionValue(std::string("hi"), {}));
    std::vector<OptionProblem> problems;
    static_cast<void>(greet_options(std::move(table), problems));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_NE(problems[0].text.find("word"), std::string::npos) << problems[0].text;
}

std::string between(const std::string& text, std::string_view first, std::string_view last) {
    const auto begin = text.find(first) + first.size();
    return text.substr(begin, text.find(last, begin) - begin);
}

std::string text_of(const std::string& path) {
    std::ifstream in(std::string(SELVAGE_SOURCE_DIR) + "/" + path);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
}

TEST(NewService, IsTheOneOfThePage) {
    const auto page = between(text_of("docs/howto/add-a-service.md"), "```cpp\n", "```");
    const auto here =
        between(text_of("tests/contract/new_service_test.cc"), "// BEGIN greet.cc\n", "// END");
    EXPECT_EQ(page, here);
}

}  // namespace
}  // namespace selvage::edge
