// The outbox of a pager whose engine is elsewhere: transitions come as objects `<pages_root>/_outbox/<name>.json`, are taken over once each
// by identity, and the objects are removed when every transition in them has its receipts. Format: docs/formats/pages.md.
//
//   TRY(auto intake, Intake::open(options, lake, failpoints));
//   TRY(auto notifier, Notifier::open(…, intake->outbox(), …));     // on a thread of its own
//   while (running) { TRY(bool more, intake->step()); if (!more) wait a little; }
//
// Any number may run: the notifier's lease decides who sends, and only who sent removes. Of an older generation than the newest claimed
// nothing is taken: the newer one sends what is open and resolves what it does not confirm.
// An object that cannot be read stays where it is, keeps no other one waiting, and is told: to `say`, by a page, in status() and in the
// record that `headpond status` shows. It is read again when it has changed and at the next open.
// With `list_interval` it looks at the bell (`<pages_root>/_bell`, rung by a job behind each object) at each step, and lists when that has
// changed or the interval is over: a GET costs a twelfth of a LIST.
//
// The local state may be lost at any moment, so what the notifier itself has to say becomes an object too before anybody hears it.
// Threads: step() from one; outbox() and status() from any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/clock.h"
#include "env/failpoints.h"
#include "env/object_store.h"
#include "notify/outbox.h"
#include "notify/unreadable.h"
#include "state/store.h"

namespace headpond::notify {

struct IntakeOptions {
  std::string pages_root;                                                        // "pages/<branch>"
  std::string local_directory;                                                   // the state store's; created; one process's alone
  std::vector<std::string> targets;                                              // names
  std::size_t objects_max = 1000;                                                // taken in one step
  base::Duration list_interval = base::Duration(0);                              // at most, between listings; 0: every step lists
  std::string branch = {};                                                       // its name, for people
  std::function<void(const std::string& line)> say = [](const std::string&) {};  // an object that cannot be read, once each
};

class Intake {
 public:
  // Borrows all three. Errors: kRetry: the store. kFenced: the local state is held by another process. kInvalid, kCorrupt.
  static base::Result<std::unique_ptr<Intake>> open(IntakeOptions options, env::ObjectStore& lake, env::Clock& clock,
                                                    env::Failpoints& failpoints);

  // One look at the objects. True: there may be more at once. Errors: kRetry: again later; nothing is lost. kFenced: a newer generation was
  // claimed: open again.
  base::Result<bool> step();
  Outbox& outbox() { return *outbox_; }

  struct Status {
    std::int64_t generation = 0;  // 0: none was claimed yet
    std::size_t objects = 0;      // taken, not yet removed
    std::size_t pending = 0;      // transitions without all receipts
    Unreadable unreadable;
  };
  Status status() const;

 private:
  using Ids = std::vector<rules::Transition>;
  struct Aside {
    std::int64_t size = 0;
    base::Micros modified;
    std::string why;
  };
  Intake(IntakeOptions options, env::ObjectStore& lake, env::Clock& clock, env::Failpoints& failpoints)
      : options_(std::move(options)), lake_(lake), clock_(clock), failpoints_(failpoints) {}
  base::Result<void> load();
  base::Result<bool> must_list();
  base::Result<bool> take_listed();
  base::Result<bool> take(const std::vector<env::ObjectMeta>& listed);
  base::Result<void> take_one(const env::ObjectMeta& object);
  void set_aside(const env::ObjectMeta& object, std::string why);
  void forget_gone(const std::vector<env::ObjectMeta>& listed);
  base::Result<void> tell_unreadable();
  void report_unreadable();
  base::Result<void> make_durable();
  base::Result<void> write_own(const rules::Transition& page);
  base::Result<void> remove_done();

  const IntakeOptions options_;
  env::ObjectStore& lake_;
  env::Clock& clock_;
  env::Failpoints& failpoints_;
  std::unique_ptr<state::Store> state_;
  std::unique_ptr<Outbox> outbox_;
  std::int64_t generation_ = 0;
  bool first_look_ = true;
  bool more_ = true;  // to take than the last step took
  std::string bell_;
  base::Duration listed_at_;  // monotonic
  mutable std::mutex mutex_;
  std::map<std::string, Ids> taken_;    // by path: what has to have receipts before it is removed
  std::map<std::string, Aside> aside_;  // by path: cannot be read
  bool aside_untold_ = true;            // the record of an earlier process may stand
};

}  // namespace headpond::notify
