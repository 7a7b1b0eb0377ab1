// The notifier of a pager that runs on Flink: takes over what the job wrote and delivers it.
#pragma once

#include "app/role.h"
#include "app/session.h"
#include "app/system.h"

namespace headpond::app {

inline constexpr const char* kNotifier = "notifier";  // the kind of its status; it publishes no cursor, that is its engine's

// Borrows `session` and `branch`. `print` shows a page for targets of kind stdout.
Role::Factory notify_factory(Session& session, const spec::Branch& branch, Hooks hooks);

}  // namespace headpond::app
