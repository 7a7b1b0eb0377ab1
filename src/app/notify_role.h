// The notifier of a pager that runs on Flink: takes over what the job wrote and delivers it.
#pragma once

#include <functional>
#include <string>

#include "app/role.h"
#include "app/session.h"

namespace headpond::app {

inline constexpr const char* kNotifier = "notifier";  // the kind of its status; it publishes no cursor, that is its engine's

// Borrows `session` and `branch`. `print` shows a page for targets of kind stdout.
Role::Factory notify_factory(Session& session, const spec::Branch& branch, std::function<void(const std::string& page)> print);

}  // namespace headpond::app
