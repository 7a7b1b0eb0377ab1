// The outbox of an engine that may still wait for its lease: empty until the engine opens its state.
// Threads: any.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "notify/outbox.h"

namespace headpond::pager {

class StandbyOutbox final : public notify::Outbox {
 public:
  // Once. The calls before it had no effect.
  void open(std::unique_ptr<notify::Outbox> outbox) {
    owner_ = std::move(outbox);
    outbox_ = owner_.get();
  }

  void add(std::vector<rules::Transition> transitions) override {
    if (auto* o = outbox_.load()) o->add(std::move(transitions));
  }
  void add_after_batch(std::vector<rules::Transition> transitions) override {
    if (auto* o = outbox_.load()) o->add_after_batch(std::move(transitions));
  }
  void stage(state::WriteBatch& batch) override {
    if (auto* o = outbox_.load()) o->stage(batch);
  }
  void confirm() override {
    if (auto* o = outbox_.load()) o->confirm();
  }
  std::vector<rules::Transition> unheard() const override {
    auto* o = outbox_.load();
    return o ? o->unheard() : std::vector<rules::Transition>{};
  }
  std::size_t pending() const override {
    const auto* o = outbox_.load();
    return o != nullptr ? o->pending() : 0;
  }
  bool holds(const rules::Transition& transition) const override {
    const auto* o = outbox_.load();
    return o != nullptr && o->holds(transition);
  }
  void settled_to(base::Micros boundary) override {
    if (auto* o = outbox_.load()) o->settled_to(boundary);
  }
  void replaying(bool on) override {
    if (auto* o = outbox_.load()) o->replaying(on);
  }
  std::vector<notify::Delivery> due(const std::string& target, std::size_t limit) const override {
    const auto* o = outbox_.load();
    return o != nullptr ? o->due(target, limit) : std::vector<notify::Delivery>();
  }
  void apply(notify::ReceiptPlace place, const std::vector<notify::Receipt>& receipts) override {
    if (auto* o = outbox_.load()) o->apply(place, receipts);
  }
  std::vector<rules::Transition> open_pages(const std::string& target) const override {
    const auto* o = outbox_.load();
    return o != nullptr ? o->open_pages(target) : std::vector<rules::Transition>();
  }
  void report(rules::Transition page) override {
    if (auto* o = outbox_.load()) o->report(std::move(page));
  }
  void took_over() override {
    if (auto* o = outbox_.load()) o->took_over();
  }
  bool took_since_report(const std::string& target) const override {
    auto* o = outbox_.load();
    return o && o->took_since_report(target);
  }
  notify::ReceiptPlace newest_receipt() const override {
    const auto* o = outbox_.load();
    return o != nullptr ? o->newest_receipt() : notify::ReceiptPlace();
  }

 private:
  std::unique_ptr<notify::Outbox> owner_;
  std::atomic<notify::Outbox*> outbox_ = nullptr;
};

}  // namespace headpond::pager
