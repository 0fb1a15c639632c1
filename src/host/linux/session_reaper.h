// Ends whole sessions of processes: a hang-up first, then, after a grace, no mercy.
//
//   hang up --every 100 ms: anybody left?--> none: reap the leader
//      |
//      +--2 s--> kill, again every 100 ms --> none: reap the leader
//
// A session is everything that still carries the leader's id as its session, found in /proc on a
// worker. The leader stays unreaped until the end, so that its id cannot name anybody else.
// Processes that left for a session of their own are not ours to end.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>

#include "base/log.h"
#include "rt/runtime.h"

namespace selvage::host {

class SessionReaper : public std::enable_shared_from_this<SessionReaper> {
public:
    SessionReaper(rt::Runtime& runtime, Log log);
    SessionReaper(const SessionReaper&) = delete;
    SessionReaper& operator=(const SessionReaper&) = delete;
    ~SessionReaper() = default;

    // Takes over the session of `leader`, an unreaped child of this process.
    void end_session(pid_t leader);
    // Kills and reaps all that are left, now, waiting for the kernel to do so: for the end of the
    // process, when no timer will come any more.
    void finish_now();
    std::size_t pending() const { return sessions_.size(); }

private:
    struct Session {
        explicit Session(rt::TimerService& timers) : timer(timers) {}
        rt::Timer timer;
        TimePoint kill_at;
        int rounds = 0;
    };
    void look(pid_t leader);
    void on_looked(pid_t leader, std::size_t left);

    rt::Runtime& runtime_;
    Log log_;
    std::map<pid_t, Session> sessions_;  // as many as terminals that were open
};

// Sends `number` (0: nothing) to every living process of a session; returns how many there are.
std::size_t signal_session(pid_t leader, int number);

}  // namespace selvage::host
