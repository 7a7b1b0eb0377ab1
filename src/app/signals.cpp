#include "app/signals.h"

#include <signal.h>
#include <time.h>

namespace headpond::app {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

Signals::Signals() {
  const auto set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

bool Signals::wait(base::Duration timeout) const {
  if (came_) return true;
  const auto set = stop_signals();
  const timespec span{.tv_sec = timeout.value() / 1'000'000, .tv_nsec = timeout.value() % 1'000'000 * 1'000};
  came_ = sigtimedwait(&set, nullptr, &span) > 0;
  return came_;
}

}  // namespace headpond::app
