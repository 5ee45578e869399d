// Threads that share the work of one call.
//
// Each piece of work is done as a whole by one of them, so that their number changes no digit; they
// are fewer than wanted where the system has no more.
#pragma once
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace {

class Team {
 public:
  explicit Team(int size) {
    try {
      for (int member = 1; member < size; member++)
        members.emplace_back([this, member] { serve(member); });
    } catch (const std::system_error&) {
    }
  }

  Team(const Team&) = delete;

  ~Team() {
    pieces = -1;
    round.fetch_add(1, std::memory_order_release);
    for (auto& one : members) one.join();
  }

  // Calls work(piece, member) for every piece from 0.
  template <class Work>
  void each(int count, Work work) {
    if (members.empty() || count < 2) {
      for (int piece = 0; piece < count; piece++) work(piece, 0);
      return;
    }
    given = &work;
    call = [](void* given, int piece, int member) { (*static_cast<Work*>(given))(piece, member); };
    pieces = count;
    next.store(0, std::memory_order_relaxed);
    busy.store(int(members.size()), std::memory_order_relaxed);
    round.fetch_add(1, std::memory_order_release);
    take(0);
    while (busy.load(std::memory_order_acquire)) std::this_thread::yield();
  }

 private:
  std::vector<std::thread> members;
  void* given = nullptr;
  void (*call)(void*, int, int) = nullptr;
  int pieces = 0;
  std::atomic<int> next{0}, busy{0};
  std::atomic<unsigned> round{0};

  void take(int member) {
    for (int piece; (piece = next.fetch_add(1, std::memory_order_relaxed)) < pieces;)
      call(given, piece, member);
  }

  void serve(int member) {
    for (unsigned seen = 0;;) {
      for (int tries = 0; round.load(std::memory_order_acquire) == seen; tries++)
        if (tries > 1000) std::this_thread::yield();
      seen++;
      if (pieces < 0) return;
      take(member);
      busy.fetch_sub(1, std::memory_order_release);
    }
  }
};

}  // namespace
