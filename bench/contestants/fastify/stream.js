// Server-Sent Events as Fastify's users write them: a Set of raw responses, one encoded Buffer.
// With PROCESSES=2 an event reaches the other process through Redis' publish and subscribe.
'use strict'
const cluster = require('node:cluster')
const fastify = require('fastify')

const processes = Number(process.env.PROCESSES ?? 1)

async function serve () {
  const app = fastify({ logger: false })
  const responses = new Set()
  let newest = null

  function send (frame) {
    newest = frame
    for (const response of responses) response.write(frame)
  }

  let publish = send
  if (processes > 1) {
    const Redis = require('ioredis')
    const publisher = new Redis(process.env.REDIS_URL)
    const subscriber = new Redis(process.env.REDIS_URL)
    await subscriber.subscribe('board')
    subscriber.on('messageBuffer', (_, frame) => send(frame))
    publish = (frame) => publisher.publish('board', frame)
  }

  app.get('/stream', (request, reply) => {
    reply.hijack()
    const response = reply.raw
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no'
    })
    response.write(newest ?? ': not yet\n\n')
    responses.add(response)
    request.raw.on('close', () => responses.delete(response))
  })

  app.post('/publish', async (request) => {
    const data = JSON.stringify(request.body)
    await publish(
      Buffer.from(`event: leaderboard_update\nid: ${request.body.seq}\ndata: ${data}\n\n`)
    )
    return { published: true }
  })

  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT), backlog: 4096 })
}

if (processes > 1 && cluster.isPrimary) {
  for (let started = 0; started < processes; started++) cluster.fork()
} else {
  serve()
}
