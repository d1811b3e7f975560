-- Have the server notice that the client of this session has gone: while it sends, and while it is at
-- a long statement. Only Linux can do both in every version; elsewhere the keepalive has to suffice.
SELECT
    set_config('tcp_user_timeout', :gone_after, FALSE),
    set_config('client_connection_check_interval', :look_every, FALSE)
WHERE version() LIKE '%linux%'
