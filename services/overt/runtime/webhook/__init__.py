"""The bridge to systems that speak no Kafka: each alert is posted to one address, signed, until it is
taken or given up.

`letter` is what is sent and how it is signed, `endpoint` sends it once, `delivery` sends it again and decides,
`service` puts them under the loop. docs/webhook.md is the contract with whoever receives.
"""
