#!/usr/bin/env python3
"""Hands tickets to a Praetor service and prints what was decided. Python's standard library is enough.

    PRAETOR_KEY=prk_… client.py http://127.0.0.1:8080 examples/tickets.jsonl

Each ticket is sent with an idempotency key made from its bytes, so that sending again after a failure is safe.
"""
import hashlib
import json
import os
import sys
import time
import urllib.error
import urllib.request

ATTEMPTS = 5


def decide(base, key, ticket):
    """The decision on a ticket (bytes), or the problem document that says why there is none."""
    request = urllib.request.Request(f"{base}/v1/decisions", data=ticket, method="POST", headers={
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Accept-Language": "zh",
        "Idempotency-Key": hashlib.sha256(ticket).hexdigest(),
    })
    for attempt in range(ATTEMPTS):
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503) or attempt == ATTEMPTS - 1:
                return json.load(error)
            time.sleep(float(error.headers.get("Retry-After", 1)))
        except urllib.error.URLError:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(2 ** attempt)


def main():
    base, path = sys.argv[1].rstrip("/"), sys.argv[2]
    key = os.environ["PRAETOR_KEY"]
    with open(path, "rb") as tickets:
        for line in filter(None, map(bytes.strip, tickets)):
            answer = decide(base, key, line)
            if "remedy" in answer:
                remedy = answer["remedy"]
                print(answer["ticket_id"], answer["outcome"], remedy["kind"], remedy["refund"], answer["id"])
            else:
                print("-", answer["code"], "; ".join(error["message"] for error in answer.get("errors", [])))


if __name__ == "__main__":
    main()
