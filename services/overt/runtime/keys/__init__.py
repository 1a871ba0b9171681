"""Keys: what they are made of, how long they live, where they lie.

`key` is any one of them. Transient keys (`transient`) live for seconds, in memory only. Durable keys (`keyring`, in
files: `keyring_ring`, `keyring_file`, `keyring_format`) live as long as what they seal and are wrapped by the
`deployment_key`, of which `derived` makes those of other uses; `deployment_keyring` opens what the environment names.
"""
