-- Publishes a message on a topic: numbered without gaps, kept for those who are away just now.
-- KEYS[1] the topic's stream
-- KEYS[2] the topic's counter, same {tag}
-- ARGV[1] the message
-- ARGV[2] how many messages are kept, about
-- Replies the message's number.
local number = redis.call("INCR", KEYS[2])
redis.call("XADD", KEYS[1], "MAXLEN", "~", ARGV[2], "*", "n", number, "m", ARGV[1])
return { number }
