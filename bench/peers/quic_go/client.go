package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// dialer opens connections of one transport, as a client of many does.
type dialer func() (*quic.Conn, error)

func newDialer(protocols []string) (dialer, error) {
	config, err := clientCrypto()
	if err != nil {
		return nil, err
	}
	config.NextProtos = protocols
	transport, err := newTransport()
	if err != nil {
		return nil, err
	}
	remote := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: *port}
	return func() (*quic.Conn, error) {
		return transport.Dial(context.Background(), remote, config, settings())
	}, nil
}

func clientQuic() error {
	dial, err := newDialer([]string{alpn})
	if err != nil {
		return err
	}
	switch *work {
	case "handshakes":
		return handshakes(dial)
	case "idle":
		return idle(func() error { _, err := dial(); return err })
	}
	works := map[string]func(*quic.Conn) (facts, error){
		"download": bulk, "upload": bulk, "both": bulk, "requests": requests,
		"messages": messages, "datagrams": datagrams, "latency": latency,
	}
	does, known := works[*work]
	if !known {
		return fmt.Errorf("unknown work %s", *work)
	}
	connection, err := dial()
	if err != nil {
		return err
	}
	before := connection.ConnectionStats().PacketsReceived
	started := newClock()
	found, err := does(connection)
	if err != nil {
		return err
	}
	found = started.into(found)
	found["packets"] = connection.ConnectionStats().PacketsReceived - before
	say(found)
	err = connection.CloseWithError(0, "")
	time.Sleep(10 * time.Millisecond) // the close leaves
	return err
}

// spread runs count pieces of work on several goroutines, and returns the first failure.
func spread(count, workers int, does func(worker, share int) error) error {
	failures := make(chan error, workers)
	var tasks sync.WaitGroup
	for worker := range workers {
		share := count / workers
		if worker < count%workers {
			share++
		}
		tasks.Go(func() {
			if err := does(worker, share); err != nil {
				failures <- err
			}
		})
	}
	tasks.Wait()
	close(failures)
	return <-failures
}

// exchange asks for down bytes with a request of up bytes and reads the answer.
func exchange(connection *quic.Conn, down, up int, buffer []byte) (int, error) {
	stream, err := connection.OpenStreamSync(context.Background())
	if err != nil {
		return 0, err
	}
	head := make([]byte, header, max(header, min(up, chunk)))
	binary.BigEndian.PutUint64(head, uint64(down))
	if up <= chunk {
		head = head[:max(header, up)]
	}
	if _, err := stream.Write(head); err != nil {
		return 0, err
	}
	if err := pour(stream, max(0, up-len(head))); err != nil {
		return 0, err
	}
	if err := stream.Close(); err != nil {
		return 0, err
	}
	return swallow(stream, buffer)
}

func swallow(from io.Reader, buffer []byte) (int, error) {
	size := 0
	for {
		read, err := from.Read(buffer)
		size += read
		if err == io.EOF {
			return size, nil
		} else if err != nil {
			return size, err
		}
	}
}

func bulk(connection *quic.Conn) (facts, error) {
	sizes := make([]int, *parallel)
	transfer := func(number, down, up int) error {
		size, err := exchange(connection, down, up, make([]byte, chunk))
		sizes[number] += size
		return err
	}
	var err error
	if *work == "both" {
		sizes = make([]int, 2)
		err = spread(*count, 2, func(number, share int) error {
			return transfer(number, share*(1-number), header+share*number)
		})
	} else {
		err = spread(*count, *parallel, func(number, share int) error {
			if *work == "download" {
				return transfer(number, share, header)
			}
			return transfer(number, 0, header+share)
		})
	}
	received := 0
	for _, size := range sizes {
		received += size
	}
	return facts{"received": received}, err
}

func requests(connection *quic.Conn) (facts, error) {
	err := spread(*count, *parallel, func(_, share int) error {
		buffer := make([]byte, *answer+1)
		for range share {
			size, err := exchange(connection, *answer, *ask, buffer)
			if err != nil {
				return err
			} else if size != *answer {
				return fmt.Errorf("%d bytes came", size)
			}
		}
		return nil
	})
	return facts{"done": *count}, err
}

func messages(connection *quic.Conn) (facts, error) {
	stream, err := connection.OpenStreamSync(context.Background())
	if err != nil {
		return nil, err
	}
	if _, err := stream.Write(make([]byte, header)); err != nil {
		return nil, err
	}
	message := make([]byte, *ask)
	for range *count {
		if _, err := stream.Write(message); err != nil {
			return nil, err
		}
	}
	if err := stream.Close(); err != nil {
		return nil, err
	}
	_, err = swallow(stream, make([]byte, chunk))
	return facts{"done": *count}, err
}

func datagrams(connection *quic.Conn) (facts, error) {
	payload := make([]byte, *ask)
	done, lost, underWay := 0, 0, 0
	for done < *count {
		for underWay < min(*parallel, *count-done) {
			if err := connection.SendDatagram(payload); err != nil {
				return nil, err
			}
			underWay++
		}
		waiting, cancel := context.WithTimeout(context.Background(), patience)
		_, err := connection.ReceiveDatagram(waiting)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			lost += underWay
			underWay = 0
		} else if err != nil {
			return nil, err
		} else {
			done++
			underWay = max(0, underWay-1)
		}
	}
	return facts{"done": done, "lost": lost}, nil
}

func latency(connection *quic.Conn) (facts, error) {
	go func() {
		buffer := make([]byte, chunk)
		for {
			if _, err := exchange(connection, backgroundBytes, header, buffer); err != nil {
				return
			}
		}
	}()
	time.Sleep(time.Duration(*seconds * float64(time.Second) / 4)) // past slow start
	var taken []float64
	buffer := make([]byte, *answer+1)
	end := time.Now().Add(time.Duration(*seconds * float64(time.Second)))
	for time.Now().Before(end) {
		began := time.Now()
		if _, err := exchange(connection, *answer, *ask, buffer); err != nil {
			return nil, err
		}
		taken = append(taken, time.Since(began).Seconds()*1e3)
	}
	slices.Sort(taken)
	last := float64(len(taken) - 1)
	return facts{
		"count": len(taken),
		"p50":   taken[int(math.Round(last*0.5))], "p99": taken[int(math.Round(last*0.99))],
	}, nil
}

func handshakes(dial dialer) error {
	started := newClock()
	err := spread(*count, *parallel, func(_, share int) error {
		for range share {
			connection, err := dial()
			if err != nil {
				return err
			}
			go connection.CloseWithError(0, "")
		}
		return nil
	})
	if err != nil {
		return err
	}
	say(started.into(facts{"done": *count}))
	time.Sleep(100 * time.Millisecond) // the last closes leave
	return nil
}

// idle opens connections in two steps; the runner looks at the server after each.
func idle(open func() error) error {
	for _, wanted := range []int{*count, *connections} {
		for range wanted {
			if err := open(); err != nil {
				return err
			}
		}
		time.Sleep(time.Duration(*seconds * float64(time.Second)))
		say(facts{"settled": wanted})
		time.Sleep(lookSeconds)
	}
	return nil
}
