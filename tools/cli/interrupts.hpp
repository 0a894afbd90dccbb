// Ctrl-C and friends as something to wait for. The signals are blocked in the
// process from construction on, so make it before any thread starts.
#pragma once

namespace reeve::tools {

class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // Waits until `wake()` was called since the last return, a signal came, or
  // the time is over. Returns the signal, or 0.
  int wait(int timeout_ms);
  // Any thread.
  void wake();

 private:
  int signal_file_ = -1;
  int wake_file_ = -1;
};

// Whether such a signal has come and waits to be looked at.
bool interrupt_pending();

}  // namespace reeve::tools
