// The upkeep of bronze's log beside ingest: `headpond maintain` every minute, on a thread of its own that gives way to all others.
#pragma once

#include "app/role.h"
#include "app/session.h"
#include "bronze/log_upkeep.h"

namespace headpond::app {

// Borrows `session`. Branches that fall silent are named in `log`, once each.
Role::Factory upkeep_factory(Session& session, Role::Log log);

bronze::UpkeepOptions upkeep_options(const Session& session);

// "branch ops has not written its cursor for 25h: …"
std::string describe(const bronze::SilentCursor& cursor);

}  // namespace headpond::app
