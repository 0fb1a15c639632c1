// Everything that an instance counts, in one table: names, kinds, units and descriptions.
//
// Modules count in plain integers of a struct each and know nothing of reports. counters.cc has a
// row for each of these integers and fails to compile when a struct of counters has a field that
// no row describes. `selvage stats`, `selvage --json status` and the metrics of the management RPC
// show what collect_counters() gathers.
//
// To add a counter: the field in its module's struct, the row in counters.cc. To show them:
//
//   for (const CounterSample& sample : instance.counters()) {
//       sample.name();         // "traffic.rx_bytes", "dropped.no_route", "service.proxy.accepted"
//       sample.info->metric(); // "traffic_rx_bytes_total", "dropped_packets_total"
//       sample.info->label, sample.label;  // "reason" and "no_route"; both empty without a label
//   }
//
// Samples of one metric stand together, so that an exporter may write its heading once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace selvage::node {

class Node;

enum class CounterKind : std::uint8_t {
    counter,  // only grows, from 0 at the start of the instance
    gauge,    // how many there are now
};
std::string_view kind_name(CounterKind kind);

struct CounterInfo {
    std::string_view group;  // the module or stage
    std::string_view name;   // empty when the label says it all: "dropped.no_route"
    CounterKind kind = CounterKind::counter;
    std::string_view unit;  // plural noun: "packets", "bytes", "calls"
    std::string_view description;
    std::string_view label;  // what tells the samples apart, such as "reason"; empty: there is one

    // The name for exporters, without a prefix of the program: unit and kind can be told from it.
    std::string metric() const;
};

struct CounterSample {
    const CounterInfo* info = nullptr;  // static
    std::uint64_t value = 0;
    std::string label;             // the value of info->label
    std::string_view description;  // of this sample, where the label has a meaning of its own

    std::string name() const;
    std::string_view meaning() const {
        return description.empty() ? info->description : description;
    }
};

// In the order of the table.
std::vector<CounterSample> collect_counters(Node& node);

}  // namespace selvage::node
