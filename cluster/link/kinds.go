package link

import (
	"reflect"

	"pannier/cluster/protocol"
)

// kind says how one kind of message is written and read.
type kind struct {
	message reflect.Type
	write   func(*writer, protocol.Message)
	read    func(*reader) protocol.Message
}

// kinds holds the encoding of every kind of message under its number on the wire. A number is
// never given to another kind, and the fields of a kind never change: members of two versions
// talk to each other while a cluster is upgraded. Number 0 stays unknown.
var kinds = [...]kind{
	1:  kindOf(writeAppend, readAppend),
	2:  kindOf(writeAppended, readAppended),
	3:  kindOf(writeProgress, readProgress),
	4:  kindOf(writeUnfollow, readUnfollow),
	5:  kindOf(writeHoldings, readHoldings),
	6:  kindOf(writeFinished, readFinished),
	7:  kindOf(writeRoute, readRoute),
	8:  kindOf(writeDone, readDone),
	9:  kindOf(writeBack, readBack),
	10: kindOf(writeVersions, readVersions),
	11: kindOf(writeVersionsStored, readVersionsStored),
	12: kindOf(writeTableDigest, readTableDigest),
	13: kindOf(writeWant, readWant),
	14: kindOf(writeGroup, readGroup),
	15: kindOf(writeGroupStored, readGroupStored),
	16: kindOf(writeShardAsk, readShardAsk),
	17: kindOf(writeShardDigest, readShardDigest),
	18: kindOf(writeShardSame, readShardSame),
	19: kindOf(writeShardEntries, readShardEntries),
	20: kindOf(writePrepend, readPrepend),
}

// numbers finds the number of a message.
var numbers = func() map[reflect.Type]byte {
	numbers := make(map[reflect.Type]byte, len(kinds))
	for number, k := range kinds {
		if k.message != nil {
			numbers[k.message] = byte(number)
		}
	}
	return numbers
}()

func kindOf[M any, P interface {
	*M
	protocol.Message
}](write func(*writer, P), read func(*reader, P)) kind {
	return kind{
		message: reflect.TypeFor[P](),
		write: func(w *writer, m protocol.Message) {
			if m, ok := m.(P); ok { // numbers found this kind by its type
				write(w, m)
			}
		},
		read: func(r *reader) protocol.Message {
			m := P(new(M))
			read(r, m)
			return m
		},
	}
}
