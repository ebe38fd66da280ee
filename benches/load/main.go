// Load is the service that every manager of benches/run runs, in one of several moods. It says by datagrams to the bench what it does, so that the
// clock is the bench's and no manager's:
//
//	serves NAME PID      it listens (where it has a port), or is there
//	wrote NAME PID N     it has written N lines, and no more will come
//	ends NAME PID        it was told to end, and does
//
// Usage: load MOOD [-name NAME] [-socket PATH] [-port PORT] …; with less than two arguments all are read from the file `args` of the working directory, so that
// a manager can execute the program itself, without a shell between. `load check` reads what a manager kept of what `flood` wrote.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

type load struct {
	mood, name, socket, port string
	notify                   int
	lines, size, rate        int
	block, open, exit, fork  bool
	after, drain             time.Duration
	terms                    chan os.Signal
	conn                     net.Conn
	listener                 net.Listener
}

var moods = map[string]func(*load) int{
	"steady":   (*load).steady,   // listens, and is idle
	"flood":    (*load).flood,    // writes numbered lines as fast as it can
	"tick":     (*load).tick,     // writes so many numbered lines a second
	"stubborn": (*load).stubborn, // does not care for SIGTERM
	"chatty":   (*load).chatty,   // writes numbered lines while it is stopped
	"crashy":   (*load).crashy,   // fails after a while
	"drain":    (*load).slow,     // takes its time to stop, and listens until then
	"forker":   (*load).forker,   // has a child in a session of its own
}

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "check" {
		os.Exit(check(args[1:]))
	}
	// s6 gives the service's name as the one argument.
	if len(args) < 2 {
		text, err := os.ReadFile("args")
		if err != nil {
			fail(err)
		}
		args = strings.Fields(string(text))
	}
	if len(args) == 0 || moods[args[0]] == nil {
		fail(fmt.Errorf("no mood among the arguments %q", args))
	}
	l := parse(args)
	l.terms = make(chan os.Signal, 1)
	signal.Notify(l.terms, syscall.SIGTERM, syscall.SIGINT)
	if err := l.begin(); err != nil {
		fail(err)
	}
	os.Exit(moods[l.mood](l))
}

func parse(args []string) *load {
	l := &load{mood: args[0]}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	flags.StringVar(&l.name, "name", "load", "as the bench knows it")
	flags.StringVar(&l.socket, "socket", "", "where the bench listens for datagrams")
	flags.StringVar(&l.port, "port", "", "listens there")
	flags.IntVar(&l.notify, "ready", 0, "descriptor that is told of readiness (s6)")
	flags.IntVar(&l.lines, "lines", 0, "lines to be written")
	flags.IntVar(&l.size, "size", 120, "bytes of a line, its end included")
	flags.IntVar(&l.rate, "rate", 1000, "lines a second")
	flags.BoolVar(&l.block, "block", false, "writes blocks of 64 KiB instead of lines")
	flags.BoolVar(&l.open, "open", false, "the last line has no end")
	flags.BoolVar(&l.exit, "exit", false, "ends when it has written")
	flags.BoolVar(&l.fork, "child", false, "is the child of a forker")
	flags.DurationVar(&l.after, "after", 0, "waits so long first")
	flags.DurationVar(&l.drain, "drain", 4*time.Second, "takes so long to stop")
	flags.Parse(args[1:])
	return l
}

// Listens, connects to the bench, and says that it serves.
func (l *load) begin() error {
	if l.port != "" {
		// A second copy that should not be must be able to serve as well, or it could not be counted.
		share := func(_, _ string, conn syscall.RawConn) (err error) {
			lost := conn.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, 15 /* SO_REUSEPORT */, 1) })
			return errors.Join(err, lost)
		}
		listener, err := (&net.ListenConfig{Control: share}).Listen(context.Background(), "tcp", "127.0.0.1:"+l.port)
		if err != nil {
			return err
		}
		l.listener = listener
	}
	if l.socket != "" {
		conn, err := net.Dial("unixgram", l.socket)
		if err != nil {
			return err
		}
		l.conn = conn
	}
	l.say("serves", -1)
	if l.notify > 0 {
		file := os.NewFile(uintptr(l.notify), "ready")
		file.WriteString("\n")
		file.Close()
	}
	return nil
}

func (l *load) say(word string, n int) {
	if l.conn == nil {
		return
	}
	if n < 0 {
		fmt.Fprintf(l.conn, "%s %s %d", word, l.name, os.Getpid())
	} else {
		fmt.Fprintf(l.conn, "%s %s %d %d", word, l.name, os.Getpid(), n)
	}
}

// Waits until it is told to end.
func (l *load) rest() int {
	<-l.terms
	l.say("ends", -1)
	return 0
}

func (l *load) steady() int { return l.rest() }

func (l *load) stubborn() int {
	for range l.terms {
		l.say("ends", -1)
	}
	return 0
}

func (l *load) crashy() int {
	time.Sleep(l.after)
	fmt.Println("panic: it had to be")
	return 1
}

func (l *load) slow() int {
	<-l.terms
	l.say("ends", -1)
	time.Sleep(l.drain)
	return 0
}

// The child says that it serves under the name NAME-child, and outlives whoever does not look for it.
func (l *load) forker() int {
	if !l.fork {
		child := exec.Command("/proc/self/exe", "forker", "-child", "-name", l.name+"-child", "-socket", l.socket)
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			fail(err)
		}
	}
	return l.rest()
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "load:", err)
	os.Exit(2)
}
