package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// session is one HTTP/3 connection.
type session struct {
	quic *quic.Conn
	http *http3.ClientConn
}

func clientHTTP3() error {
	dial, err := newDialer([]string{http3.NextProtoH3})
	if err != nil {
		return err
	}
	above := &http3.Transport{DisableCompression: true}
	open := func() (session, error) {
		connection, err := dial()
		if err != nil {
			return session{}, err
		}
		return session{connection, above.NewClientConn(connection)}, nil
	}
	if *work == "idle" {
		return idle(func() error { _, err := open(); return err })
	}
	sessions := make([]session, *connections)
	for number := range sessions {
		if sessions[number], err = open(); err != nil {
			return err
		}
	}
	works := map[string]func([]session) (facts, error){
		"download": download, "upload": upload, "requests": requestsHTTP3,
	}
	does, known := works[*work]
	if !known {
		return fmt.Errorf("unknown work %s", *work)
	}
	before := packets(sessions)
	started := newClock()
	found, err := does(sessions)
	if err != nil {
		return err
	}
	found = started.into(found)
	found["packets"] = packets(sessions) - before
	say(found)
	for _, one := range sessions {
		if err := one.http.CloseWithError(0x100, ""); err != nil {
			return err
		}
	}
	return nil
}

func packets(sessions []session) uint64 {
	var sum uint64
	for _, one := range sessions {
		sum += one.quic.ConnectionStats().PacketsReceived
	}
	return sum
}

// fetch sends a request and reads its response into nothing.
func fetch(one session, size int, body io.Reader, buffer []byte) (int, error) {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	url := fmt.Sprintf("https://localhost:%d/%d", *port, size)
	request, err := http.NewRequest(method, url, body)
	if err != nil {
		return 0, err
	}
	response, err := one.http.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	return swallow(response.Body, buffer)
}

func download(sessions []session) (facts, error) {
	size, err := fetch(sessions[0], *count, nil, make([]byte, chunk))
	return facts{"received": size}, err
}

// nothing is an endless body of zeros that costs little.
type nothing struct{}

func (nothing) Read(into []byte) (int, error) { return copy(into, zeros), nil }

func upload(sessions []session) (facts, error) {
	body := io.LimitReader(nothing{}, int64(*count))
	size, err := fetch(sessions[0], 0, body, make([]byte, chunk))
	return facts{"received": size}, err
}

func requestsHTTP3(sessions []session) (facts, error) {
	workers := len(sessions) * *parallel
	err := spread(*count, workers, func(worker, share int) error {
		buffer := make([]byte, *answer+1)
		for range share {
			size, err := fetch(sessions[worker%len(sessions)], *answer, nil, buffer)
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
