// ReadModeration by hand: what waits and what does not.
#include "host/linux/read_moderation.h"

#include <gtest/gtest.h>

namespace selvage::host {
namespace {

// Reads as often as it is allowed while a packet comes every `interval`; returns how many reads
// there were in `time`.
int reads_in(ReadModeration& moderation, TimePoint& now, Duration time, Duration interval) {
    int reads = 0;
    std::size_t waiting = 0;
    TimePoint next = now;
    for (const TimePoint end = now + time; now < end; ++reads) {
        if (now < next) now = next;
        for (; next <= now; next += interval)
            ++waiting;
        now += moderation.after_read(now, std::exchange(waiting, 0));
    }
    return reads;
}

TEST(ReadModeration, AStreamOfSinglePacketsIsReadInTrains) {
    ReadModeration moderation;
    TimePoint now{1s};
    EXPECT_LE(reads_in(moderation, now, 100ms, 20us), 250) << "of 5,000 packets";
}

TEST(ReadModeration, TheFirstPacketsAreReadAtOnce) {
    ReadModeration moderation;
    TimePoint now{1s};
    for (int i = 0; i < 10; ++i, now += 10us)
        EXPECT_EQ(moderation.after_read(now, 1), 0us) << i;
}

TEST(ReadModeration, WhatComesSeldomIsNeverHeldUp) {
    ReadModeration moderation;
    TimePoint now{1s};
    for (int i = 0; i < 1000; ++i, now += 500us)
        EXPECT_EQ(moderation.after_read(now, 1), 0us) << i;
}

TEST(ReadModeration, QuestionsThatWaitForTheirAnswersAreHardlyHeldUp) {
    ReadModeration moderation;
    TimePoint now{1s};
    int held = 0;
    for (int i = 0; i < 1000; ++i, now += 50us) {  // the next one comes when this one was read
        const Duration hold = moderation.after_read(now, 1);
        held += hold > 0us;
        now += hold;
    }
    EXPECT_LE(held, 1000 / 16);
}

TEST(ReadModeration, TrainsAreFree) {
    ReadModeration moderation;
    TimePoint now{1s};
    for (int i = 0; i < 1000; ++i, now += 100us)
        EXPECT_EQ(moderation.after_read(now, 46), 0us) << i;
}

}  // namespace
}  // namespace selvage::host
