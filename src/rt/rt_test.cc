// Tests of timers, events, scopes, time limits, streams and both runtimes.
#include "rt/event.h"
#include "rt/loop.h"
#include "rt/memory_stream.h"
#include "rt/scope.h"
#include "rt/virtual_runtime.h"
#include "rt/with_timeout.h"

namespace selvage::rt {
namespace {

TEST(TimerService, RunsInOrderOfTimeAndCreation) {
    VirtualRuntime runtime;
    std::string order;
    const TimePoint start = runtime.now();
    runtime.timers().at(start + 2s, [&] { order += "c"; });
    runtime.timers().at(start + 1s, [&] { order += "a"; });
    runtime.timers().at(start + 1s, [&] { order += "b"; });
    const TimerId cancelled = runtime.timers().at(start + 1s, [&] { order += "x"; });
    EXPECT_TRUE(runtime.timers().cancel(cancelled));
    EXPECT_FALSE(runtime.timers().cancel(cancelled));
    runtime.run_for(3s);
    EXPECT_EQ(order, "abc");
    EXPECT_EQ(runtime.now() - start, 3s);
}

TEST(TimerService, ATimerThatReArmsItselfDoesNotHoldTheLoop) {
    VirtualRuntime runtime;
    int count = 0;
    std::function<void()> again = [&] {
        if (++count < 5) runtime.timers().at(runtime.now(), [&] { again(); });
    };
    runtime.timers().at(runtime.now(), [&] { again(); });
    runtime.run_for(1ms);
    EXPECT_EQ(count, 5);
}

Task<int> answer_after(Runtime& runtime, Duration delay) {
    co_await sleep_for(runtime, delay);
    co_return 42;
}

TEST(VirtualRuntime, JumpsOverTheTimeThatATaskSleeps) {
    VirtualRuntime runtime;
    const TimePoint start = runtime.now();
    EXPECT_EQ(runtime.run(answer_after(runtime, 30min)), 42);
    EXPECT_EQ(runtime.now() - start, 30min);
}

Task<> wait_and_note(Event& event, std::string& notes, char name) {
    co_await event.wait();
    notes += name;
}

TEST(Event, NotifyResumesEverybodyWhoWaits) {
    VirtualRuntime runtime;
    TaskScope scope(runtime, Log());
    Event event(runtime);
    std::string notes;
    scope.spawn("a", wait_and_note(event, notes, 'a'));
    scope.spawn("b", wait_and_note(event, notes, 'b'));
    runtime.run_ready();
    EXPECT_EQ(notes, "");
    event.notify();
    runtime.run_ready();
    EXPECT_EQ(notes, "ab");
    EXPECT_TRUE(scope.empty());
}

Task<bool> wait_a_second(Runtime& runtime, Event& event) {
    co_return co_await event.wait_until(runtime.now() + 1s);
}

TEST(Event, WaitUntilSaysWhichCameFirst) {
    VirtualRuntime runtime;
    Event event(runtime);
    EXPECT_FALSE(runtime.run(wait_a_second(runtime, event)));
    runtime.timers().at(runtime.now() + 500ms, [&] { event.notify(); });
    EXPECT_TRUE(runtime.run(wait_a_second(runtime, event)));
}

struct NoteOnExit {
    std::string& notes;
    ~NoteOnExit() { notes += "gone "; }
};

Task<> sleep_for_ever(Runtime& runtime, std::string& notes) {
    const NoteOnExit note{notes};
    for (;;)
        co_await sleep_for(runtime, 1h);
}

TEST(TaskScope, CloseCancelsAndWaitsAndRunsDestructors) {
    VirtualRuntime runtime;
    TaskScope scope(runtime, Log());
    std::string notes;
    scope.spawn("one", sleep_for_ever(runtime, notes));
    scope.spawn("two", sleep_for_ever(runtime, notes));
    runtime.run_for(10s);
    EXPECT_EQ(scope.size(), 2U);
    runtime.run(scope.close(), 1s);
    EXPECT_EQ(notes, "gone gone ");
    scope.spawn("late", sleep_for_ever(runtime, notes));
    EXPECT_TRUE(scope.empty());
}

TEST(TaskScope, CancelOneEndsThatTaskOnly) {
    VirtualRuntime runtime;
    TaskScope scope(runtime, Log());
    std::string notes;
    const auto first = scope.spawn("one", sleep_for_ever(runtime, notes));
    scope.spawn("two", sleep_for_ever(runtime, notes));
    runtime.run_for(1s);
    scope.cancel_one(first);
    runtime.run_for(1s);
    EXPECT_EQ(notes, "gone ");
    EXPECT_EQ(scope.size(), 1U);
    scope.cancel_one(first);
    runtime.run(scope.close(), 1s);
}

TEST(TaskScope, ACancellationFromOutsideTheLoopMayComeTooLate) {
    VirtualRuntime runtime;
    TaskScope scope(runtime, Log());
    Event event(runtime);
    std::string notes;
    scope.spawn("a", wait_and_note(event, notes, 'a'));
    runtime.run_ready();
    event.notify();
    scope.cancel();  // the task is about to end by itself
    runtime.run_ready();
    EXPECT_TRUE(scope.empty());
}

Task<> fail() {
    throw std::runtime_error("broken");
    co_return;
}

TEST(TaskScope, AFailedTaskDoesNotDisturbTheOthers) {
    VirtualRuntime runtime;
    TaskScope scope(runtime, Log());
    std::string notes;
    scope.spawn("bad", fail());
    scope.spawn("good", sleep_for_ever(runtime, notes));
    runtime.run_for(1s);
    EXPECT_EQ(scope.size(), 1U);
    runtime.run(scope.close(), 1s);
}

Task<Result<int>> slow(Runtime& runtime, Duration delay, std::string& notes) {
    const NoteOnExit note{notes};
    co_await sleep_for(runtime, delay);
    co_return 7;
}

TEST(WithTimeout, EndsTheTaskWhenTimeIsUp) {
    VirtualRuntime runtime;
    std::string notes;
    const auto late = runtime.run(with_timeout(runtime, 1s, slow(runtime, 2s, notes)));
    EXPECT_TRUE(late.error().is(Errc::timed_out));
    EXPECT_EQ(notes, "gone ");
    EXPECT_EQ(runtime.run(with_timeout(runtime, 3s, slow(runtime, 2s, notes))).value(), 7);
}

Task<> run_limited(Runtime& runtime, std::string& notes) {
    const NoteOnExit note{notes};
    auto value = co_await with_timeout(runtime, 1h, slow(runtime, 30min, notes));
    notes += value ? "finished " : "failed ";
}

TEST(WithTimeout, ForwardsACancellationOfItsCaller) {
    VirtualRuntime runtime;
    TaskScope scope(runtime, Log());
    std::string notes;
    scope.spawn("limited", run_limited(runtime, notes));
    runtime.run_for(1s);
    runtime.run(scope.close(), 1s);
    EXPECT_EQ(notes, "gone gone ");
}

Task<std::string> read_to_end(Stream& stream) {
    std::string text;
    std::array<std::uint8_t, 3> buffer{};
    for (;;) {
        auto got = co_await stream.read_some(buffer);
        if (!got) co_return text + "!" + got.error().message();
        if (*got == 0) co_return text;
        text += as_text(ByteView(buffer).first(*got));
    }
}

Task<> write_text(Stream& stream, std::string text, bool finish) {
    const auto wrote = co_await stream.write_all(as_view(text));
    if (wrote && finish) (void)stream.shutdown_write();
}

TEST(MemoryStream, CarriesBytesWithBackPressureAndHalfClose) {
    VirtualRuntime runtime;
    TaskScope scope(runtime, Log());
    auto [a, b] = make_stream_pair(runtime, {.capacity = 4});
    scope.spawn("write", write_text(*a, "hello, world", true));
    EXPECT_EQ(runtime.run(read_to_end(*b)), "hello, world");
    scope.spawn("back", write_text(*b, "bye", true));
    EXPECT_EQ(runtime.run(read_to_end(*a)), "bye");
}

TEST(MemoryStream, AnEndThatGoesAwayDeliversWhatItWrote) {
    VirtualRuntime runtime;
    auto [a, b] = make_stream_pair(runtime);
    EXPECT_TRUE(runtime.run(a->write_all(as_view("last words"))));
    a.reset();
    EXPECT_EQ(runtime.run(read_to_end(*b)), "last words");
}

TEST(MemoryStream, AnEndThatResetsOrLeavesDataUnreadIsSeenAsAReset) {
    VirtualRuntime runtime;
    auto [a, b] = make_stream_pair(runtime);
    a->reset();
    EXPECT_EQ(runtime.run(read_to_end(*b)), "!connection reset");
    auto [c, d] = make_stream_pair(runtime);
    EXPECT_TRUE(runtime.run(d->write_all(as_view("nobody reads this"))));
    c.reset();
    EXPECT_EQ(runtime.run(read_to_end(*d)), "!connection reset");
}

Task<> use_loop(LoopRuntime& runtime, int& value) {
    co_await sleep_for(runtime, 1ms);
    value = co_await run_on_worker(runtime, [] { return 41; });
    ++value;
    runtime.stop();
}

TEST(LoopRuntime, SleepsRunsOnWorkersAndStops) {
    LoopRuntime runtime;
    TaskScope scope(runtime, Log());
    int value = 0;
    scope.spawn("use", use_loop(runtime, value));
    runtime.run();
    EXPECT_EQ(value, 42);
}

}  // namespace
}  // namespace selvage::rt
