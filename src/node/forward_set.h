// The forwards of a node, each with a life of its own, so that a reload replaces those that changed
// and leaves the connections of all others alone.
//
// A forward that is gone ends with its connections; only when its port is free does a new one take
// it. New ones at ports that nobody has are open when apply() returns.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "edge/forward.h"

namespace selvage::node {

class ForwardSet {
public:
    ForwardSet(edge::Forwards::Parts parts, std::vector<edge::ForwardOptions> options);
    ForwardSet(const ForwardSet&) = delete;
    ForwardSet& operator=(const ForwardSet&) = delete;
    ~ForwardSet();  // Precondition: never started, or stopped

    // The first failure is returned; the other forwards run.
    Result<> start();
    rt::Task<> stop();
    // Exactly these from now on. As start(). Precondition: started.
    Result<> apply(std::vector<edge::ForwardOptions> options);
    std::vector<edge::ForwardInfo> list() const;

private:
    struct Entry {
        edge::ForwardOptions options;
        std::unique_ptr<edge::Forwards> forward;
        bool started = false;
    };
    Entry make_entry(edge::ForwardOptions options) const;
    // Whether it could not listen while one that is on its way out does.
    bool waits(const Entry& entry) const;
    Result<> start_ready();
    rt::Task<> bury_retired();

    edge::Forwards::Parts parts_;
    std::list<Entry> entries_;  // as many as are configured
    std::list<Entry> retired_;  // their connections are ending
    rt::Event changed_;
    rt::TaskScope scope_;
};

}  // namespace selvage::node
