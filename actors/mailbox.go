package actors

import (
	"runtime"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// endOfBatch follows the messages that were waiting together: the actor does then, once,
// what all of them made necessary.
type endOfBatch struct{}

// batchMailbox gives an actor all waiting messages and then endOfBatch. It never drops a
// message: those that wait behind one that panicked stay in front. It is bounded by its
// senders, who have credits (a window, a mailbox slot, a tick), not by itself.
//
// The library's own mailboxes have no notion of a batch, and its bounded ones spin or lose
// messages without a word.
type batchMailbox struct {
	mu        sync.Mutex
	users     []any
	spare     []any
	systems   []any
	scheduled bool
	suspended bool
	released  bool // its actor has stopped
	owed      bool // messages were taken and endOfBatch has not followed yet

	invoker    actor.MessageInvoker
	dispatcher actor.Dispatcher
}

func newBatchMailbox() actor.Mailbox { return &batchMailbox{} }

// PostUserMessage queues a message; a nil one would be a bug of ours.
func (m *batchMailbox) PostUserMessage(message any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.released {
		m.users = append(m.users, message)
		m.scheduleLocked()
	}
}

// PostSystemMessage queues a message of the library; they go first.
func (m *batchMailbox) PostSystemMessage(message any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.released {
		m.systems = append(m.systems, message)
		m.scheduleLocked()
	}
}

// RegisterHandlers is called once, before the first message.
func (m *batchMailbox) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	m.invoker, m.dispatcher = invoker, dispatcher
}

// Start implements actor.Mailbox.
func (m *batchMailbox) Start() {}

// UserMessageCount implements actor.Mailbox.
func (m *batchMailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.users)
}

func (m *batchMailbox) scheduleLocked() {
	if !m.scheduled && m.dispatcher != nil {
		m.scheduled = true
		m.dispatcher.Schedule(m.run)
	}
}

// run works until nothing waits.
func (m *batchMailbox) run() {
	for {
		m.runSystem()
		batch, taken, more := m.takeBatch()
		if !more {
			return
		}
		if taken {
			m.runBatch(batch)
		}
		runtime.Gosched()
	}
}

func (m *batchMailbox) runSystem() {
	for {
		m.mu.Lock()
		if len(m.systems) == 0 {
			m.mu.Unlock()
			return
		}
		message := m.systems[0]
		m.systems = m.systems[1:]
		switch message.(type) {
		case *actor.SuspendMailbox:
			m.suspended = true
		case *actor.ResumeMailbox:
			m.suspended = false
		}
		m.mu.Unlock()
		m.invokeSystem(message)
	}
}

func (m *batchMailbox) invokeSystem(message any) {
	switch message.(type) {
	case *actor.SuspendMailbox, *actor.ResumeMailbox:
		return
	}
	defer func() {
		if reason := recover(); reason != nil {
			m.invoker.EscalateFailure(reason, message)
		}
	}()
	m.invoker.InvokeSystemMessage(message)
}

// release cuts a mailbox off from its actor, which has stopped: the library's sets of
// children keep the name of one that is gone, and with it all that hangs on its mailbox,
// until another takes its place.
func (m *batchMailbox) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.released, m.owed = true, false
	m.users, m.systems, m.spare = nil, nil, nil
	m.invoker, m.dispatcher = nil, nil
}

// takeBatch gives the waiting messages, unless the library's must go first, or ends the run.
func (m *batchMailbox) takeBatch() (batch []any, taken, more bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.systems) > 0 {
		return nil, false, true
	}
	if m.suspended || (len(m.users) == 0 && !m.owed) {
		m.scheduled = false
		return nil, false, false
	}
	batch = m.users
	m.users, m.spare = m.spare[:0], nil
	m.owed = true
	return batch, true, true
}

// maxSpare bounds the memory that an idle mailbox keeps after a burst.
const maxSpare = 256

// runBatch gives the actor a batch and its end. What a panic or a message of the library
// cuts off comes with the next batch, the end included.
func (m *batchMailbox) runBatch(batch []any) {
	done := 0
	defer func() {
		reason := recover()
		m.mu.Lock()
		if rest := batch[min(done, len(batch)):]; len(rest) > 0 {
			m.users = append(append([]any(nil), rest...), m.users...)
		}
		clear(batch)
		if m.spare == nil && cap(batch) <= maxSpare {
			m.spare = batch[:0]
		}
		m.mu.Unlock()
		if reason != nil {
			m.invoker.EscalateFailure(reason, batch)
		}
	}()
	for i, message := range batch {
		done = i + 1
		m.invoker.InvokeUserMessage(message)
		if m.interrupted() {
			return
		}
	}
	m.invoker.InvokeUserMessage(endOfBatch{})
	m.mu.Lock()
	m.owed = false
	m.mu.Unlock()
}

// interrupted tells that the library wants a word first.
func (m *batchMailbox) interrupted() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.systems) > 0
}
