// franz-go on secured listeners: each way in of ../../README.md ("Ways in"), one after the other.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const records = 20

type way map[string]string

func (w way) token(context.Context) (oauth.Auth, error) {
	life, err := strconv.Atoi(w["life"])
	if err != nil {
		return oauth.Auth{}, err
	}
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	claims, err := json.Marshal(map[string]any{"sub": w["user"], "exp": time.Now().Unix() + int64(life)})
	if err != nil {
		return oauth.Auth{}, err
	}
	token := part(`{"alg":"none"}`) + "." + part(string(claims)) + "."
	return oauth.Auth{Token: token, Extensions: map[string]string{"traceId": "7"}}, nil
}

func (w way) options() ([]kgo.Opt, error) {
	ca, err := os.ReadFile(w["ca"])
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	config.RootCAs.AppendCertsFromPEM(ca)
	if w["certificate"] != "" {
		certificate, err := tls.LoadX509KeyPair(w["certificate"], w["key"])
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(w["bootstrap"]),
		kgo.DialTLSConfig(config),
		kgo.AllowAutoTopicCreation(),
		kgo.DefaultProduceTopic(w["topic"]),
		kgo.ConsumeTopics(w["topic"]),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.RecordDeliveryTimeout(20 * time.Second),
		kgo.RetryTimeout(20 * time.Second),
	}
	switch w["mechanism"] {
	case "PLAIN":
		options = append(options, kgo.SASL(plain.Auth{User: w["user"], Pass: w["password"]}.AsMechanism()))
	case "SCRAM-SHA-256":
		options = append(options, kgo.SASL(scram.Auth{User: w["user"], Pass: w["password"]}.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		options = append(options, kgo.SASL(scram.Auth{User: w["user"], Pass: w["password"]}.AsSha512Mechanism()))
	case "OAUTHBEARER":
		options = append(options, kgo.SASL(oauth.Oauth(w.token)))
	}
	return options, nil
}

func (w way) goIn() error {
	options, err := w.options()
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if w["expect"] == "refused" {
		err := client.Ping(ctx)
		if !errors.Is(err, kerr.SaslAuthenticationFailed) {
			return fmt.Errorf("it was let in: %v", err)
		}
		return nil
	}
	seconds, _ := strconv.ParseFloat(w["seconds"], 64)
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	sent := 0
	for sent < records || time.Now().Before(end) {
		if err := client.ProduceSync(ctx, kgo.StringRecord(strconv.Itoa(sent))).FirstErr(); err != nil {
			return err
		}
		sent++
		if sent > records {
			time.Sleep(200 * time.Millisecond)
		}
	}
	got := 0
	for got < sent {
		fetches := client.PollFetches(ctx)
		if errs := fetches.Errors(); len(errs) > 0 {
			return fmt.Errorf("%d of %d came back: %w", got, sent, errs[0].Err)
		}
		for _, record := range fetches.Records() {
			if string(record.Value) != strconv.Itoa(got) {
				return fmt.Errorf("record %d is %q", got, record.Value)
			}
			got++
		}
	}
	return nil
}

func main() {
	scanner := bufio.NewScanner(os.Stdin)
	w := way{}
	run := func() {
		if len(w) == 0 {
			return
		}
		if err := w.goIn(); err != nil {
			fmt.Println("failed", w["name"], err)
		} else {
			fmt.Println("ok", w["name"])
		}
		w = way{}
	}
	for scanner.Scan() {
		name, value, found := strings.Cut(scanner.Text(), "=")
		if found {
			w[strings.TrimSpace(name)] = strings.TrimSpace(value)
		} else {
			run()
		}
	}
	run()
}
