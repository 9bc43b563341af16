package main

import "syscall"

// ofItsOwn is how a member is started: in a process group of its own, because ctrl-c is for the
// demo first, and killed by the kernel when the demo is.
func ofItsOwn() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
