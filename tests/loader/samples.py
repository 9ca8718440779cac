"""Files that are right, for tests that change them."""

RULE = """\
rule: login-failed
title: A login that failed
event: auth
where: not success
tests:
  - {event: {event: auth, success: false, user: {id: 42, email: jane@example.com}}, matches: true}
  - {event: {event: auth, success: true, timestamp: 2026-01-05T03:00:00Z}, matches: false}
"""

PLAYBOOK = """\
playbook: stuffing
title: One address tries many accounts
description: |
  Why this matters,
  what a false positive looks like.
mode: enforce
severity: high
rule: login-failed
where: >-
  user != "id:probe"
  and not in_list(ip, "office")
group_by: [ip, request.host]
window: 10m
when: {count: {gt: 12}, distinct: {user: 10}, ratio: {where: 'request.status == 401', gte: 0.9}}
cooldown: 15m
actions:
  - block_ip: {for: [15m, 1h, forever], unless_shared_by: 5}
  - challenge_user: {for: 1h, target: user}
  - label_ip: {name: stuffing}
  - notify: {channel: security}
  - block_users: all
  - emit: {event: stuffing.found, properties: {weight: 2, tags: [a]}}
guard: {max: 50, per: 1h}
exceptions:
  - {where: 'cidr(ip, "198.51.100.0/24")', reason: office address, until: 2030-01-31}
accept_lockout: false
claimed: true
tests:
  - name: ten accounts
    events:
      - {at: 0s, event: auth, success: false, ip: 203.0.113.9, user: "u{n}", repeat: 10, every: 5s,
         request: {host: shop.example, status: 401, params: {next: /}},
         properties: {amount: 1.5, code: "007", zip: 0123}}
      - {at: 50s, received: 2m, event: auth, success: false, ip: "2001:db8::1", user: {email: Jane@Example.com}}
    expect:
      - {at: 45s, group: {ip: 2001:db8::9, request.host: shop.example}, block_ip: 203.0.113.9, challenge_user: [u9, u8],
         emit: stuffing.found}
    requests:
      - {at: 46s, ip: 203.0.113.9, verdict: block}
      - {at: 46s, user: u1, device: laptop, login: true, verdict: allow}
"""

LISTS = {"office": "198.51.100.0/24\n"}
