package actors

import (
	"sync"
	"time"
)

// rateSeconds is the window over which a lane's rate is measured.
const rateSeconds = 10

// rateMeter counts events by second over the last ten. Safe for concurrent use; the zero
// value is ready.
type rateMeter struct {
	mu      sync.Mutex
	seconds [rateSeconds]int
	second  int64 // of the newest count
}

func (r *rateMeter) add(n int, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now.Unix())
	r.seconds[r.second%rateSeconds] += n
}

// perSecond is the mean over the window, the running second left out.
func (r *rateMeter) perSecond(now time.Time) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now.Unix())
	sum := 0
	for n, count := range r.seconds {
		if int64(n) != r.second%rateSeconds {
			sum += count
		}
	}
	return float64(sum) / (rateSeconds - 1)
}

func (r *rateMeter) advance(second int64) {
	for n := max(r.second+1, second-rateSeconds+1); n <= second; n++ {
		r.seconds[n%rateSeconds] = 0
	}
	r.second = max(r.second, second)
}
