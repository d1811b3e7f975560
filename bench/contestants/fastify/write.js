// A completion by the usual sequence: verify the token, count the call, one transaction of three
// statements, the board in a sorted set, the rank, the answer. The statements are prepared by name,
// verified tokens are cached, and the answer has a schema: each the fastest that the libraries offer.
'use strict'
const Redis = require('ioredis')
const { Pool } = require('pg')

const POINTS = { 'solve-a-puzzle': 5 }
const CALLS = 600 // a minute and account
const MINUTE = 60

const app = require('fastify')({ logger: false })
const redis = new Redis(process.env.REDIS_URL)
const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 16 })

app.register(require('@fastify/jwt'), {
  secret: process.env.JWT_SECRET,
  verify: { algorithms: ['HS256'], cache: 10000 }
})

const INSERT = {
  name: 'insert',
  text: `INSERT INTO log (account_id, action_id, idempotency_key, points) VALUES ($1, $2, $3, $4)
         ON CONFLICT (account_id, idempotency_key) DO NOTHING RETURNING log_id, completed_at`
}
const ADD = {
  name: 'add',
  text: `INSERT INTO scores AS score (account_id, total) VALUES ($1, $2)
         ON CONFLICT (account_id) DO UPDATE SET total = score.total + excluded.total
         RETURNING total`
}
const KNOWN = {
  name: 'known',
  text: `SELECT entry.log_id, entry.completed_at, score.total
         FROM log AS entry JOIN scores AS score USING (account_id)
         WHERE entry.account_id = $1 AND entry.idempotency_key = $2`
}

async function record (account, action, key) {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const inserted = await client.query({ ...INSERT, values: [account, action, key, POINTS[action]] })
    const found = inserted.rows[0]
      ? { ...inserted.rows[0], ...(await client.query({ ...ADD, values: [account, POINTS[action]] })).rows[0] }
      : (await client.query({ ...KNOWN, values: [account, key] })).rows[0]
    await client.query('COMMIT')
    return found
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}

const schema = {
  response: {
    200: {
      type: 'object',
      properties: {
        success: { type: 'boolean' },
        completionId: { type: 'string' },
        actionId: { type: 'string' },
        pointsEarned: { type: 'integer' },
        newScore: { type: 'integer' },
        completedAt: { type: 'string' },
        rank: { type: 'integer' }
      }
    }
  }
}

app.post('/actions/:action/complete', { schema }, async (request, reply) => {
  await request.jwtVerify()
  const account = request.user.sub
  const action = request.params.action
  const key = request.headers['idempotency-key']
  if (!(action in POINTS) || !key) return reply.code(400).send({ error: 'bad request' })

  const window = `limit:${account}:${Math.floor(Date.now() / 1000 / MINUTE)}`
  const calls = await redis.incr(window)
  if (calls === 1) await redis.expire(window, MINUTE)
  if (calls > CALLS) return reply.code(429).send({ error: 'too many calls' })

  const found = await record(account, action, key)
  await redis.zadd('board', found.total, account)
  const rank = await redis.zrevrank('board', account)
  return {
    success: true,
    completionId: found.log_id,
    actionId: action,
    pointsEarned: POINTS[action],
    newScore: Number(found.total),
    completedAt: found.completed_at.toISOString(),
    rank: rank + 1
  }
})

app.listen({ host: '127.0.0.1', port: Number(process.env.PORT), backlog: 4096 })
