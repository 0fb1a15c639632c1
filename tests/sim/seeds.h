// Runs the body of a simulation test for several seeds, each twice, and compares the two runs.
//
//   TEST(Links, DeliverInOrder) {
//       sim::for_seeds([](sim::World& world) { ... EXPECT_...; });
//   }
//
// Which seeds: a few fixed ones, and one more from the environment variable SELVAGE_SIM_SEED, which
// is how a failure is repeated. On failure the seed and the last events are printed, and with
// SELVAGE_SIM_PCAP=<folder> the last frames are written there as a packet capture.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sim/world.h"

namespace selvage::sim {

// SELVAGE_SIM_SEED when set, else a fixed seed: for tests that make their own world.
std::uint64_t test_seed();
// `count` fixed seeds, or only the one of SELVAGE_SIM_SEED when set.
std::vector<std::uint64_t> test_seeds(std::size_t count);

struct SeedsOptions {
    std::size_t seeds = 3;
    WorldOptions world;  // its seed is replaced
};

// Stops at the first seed that fails. Uses the test framework of the program that calls it.
void for_seeds(const std::function<void(World&)>& body, SeedsOptions options = {});

// For long scenarios: each seed once, without comparing two runs, and without a trace; a failing
// seed does not stop the others and is run again with its trace. SELVAGE_SIM_SEEDS=FIRST:COUNT
// gives the seeds instead of `options.seeds` fixed ones.
void for_seed_range(const std::function<void(World&)>& body, SeedsOptions options = {});

}  // namespace selvage::sim
