// The service manager that started this process, such as systemd: told when we are ready, reload or
// stop, and that we still turn.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/time.h"

namespace selvage::host {

class ServiceManager {
public:
    virtual ~ServiceManager() = default;
    virtual void ready() = 0;
    virtual void reloading() = 0;  // followed by ready(), whatever came of it
    virtual void stopping() = 0;
    virtual void status(const std::string& line) = 0;  // one line for `systemctl status`
    virtual void alive() = 0;
    // How often it wants to hear alive(); none: never.
    virtual std::optional<Duration> watchdog() const = 0;
};

}  // namespace selvage::host
