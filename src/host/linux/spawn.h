// Starts a program on a terminal from a process with threads: everything that needs memory or locks
// is prepared before the fork; the child makes system calls only, until it is another program.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "host/linux/os.h"

namespace selvage::host {

struct SpawnPlan {
    std::string program;                 // an absolute path
    std::vector<std::string> arguments;  // with argv[0]
    std::vector<std::string> environment;
    std::string directory;  // "/" when it cannot be entered
    int terminal = -1;      // becomes 0, 1, 2 and the controlling terminal of a new session
    bool change_user = false;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
};

// The process id of the new session's leader, once the program runs. Errors say which step failed.
Result<pid_t> spawn_on_terminal(const SpawnPlan& plan);

}  // namespace selvage::host
