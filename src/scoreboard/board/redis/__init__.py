"""The board in Redis, which many processes share, and the only package that knows the library.

Each period is three keys with one hash tag: `order`, its places; `rows`, what is known of each
account; and `mark`, without which the period is cold. Every change is one Lua script, so nobody
sees half of it, and the script that changes a top 10 says so on one channel.
"""
