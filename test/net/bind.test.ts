import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bindFault, connectionsOf, endpointText, listenOn } from '../../src/net/bind.ts'
import { settle } from '../support/manual-clock.ts'
import { LOOPBACK, within } from '../support/sockets.ts'

function server(): Server {
  const made = createServer()
  onTestFinished(() => new Promise<void>((resolve) => void made.close(() => resolve())))
  return made
}

it('endpointText puts IPv6 addresses in brackets', () => {
  expect(endpointText({ host: '192.0.2.1', port: 53 })).toBe('192.0.2.1:53')
  expect(endpointText({ host: '2001:db8::1', port: 53 })).toBe('[2001:db8::1]:53')
  expect(endpointText({ host: 'localhost', port: 53 })).toBe('localhost:53')
})

describe('listenOn', () => {
  it('gives the address really bound', async () => {
    const bound = await listenOn(server(), LOOPBACK)
    expect(bound.host).toBe('127.0.0.1')
    expect(bound.port).toBeGreaterThan(1023)
  })

  it('a port in use is Fault PORT_IN_USE', async () => {
    const bound = await listenOn(server(), LOOPBACK)
    await expect(listenOn(server(), bound)).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      message: `127.0.0.1:${bound.port} is in use`,
      facts: { address: `127.0.0.1:${bound.port}` },
    })
  })

  it('an address this machine lacks is Fault ADDRESS_UNKNOWN', async () => {
    await expect(listenOn(server(), { host: '192.0.2.1', port: 0 })).rejects.toMatchObject({ code: 'ADDRESS_UNKNOWN' })
  })

  it('names the other errors of bind(2)', () => {
    const errorOf = (code: string): NodeJS.ErrnoException => Object.assign(new Error(`bind ${code}`), { code })
    const at = { host: '::', port: 53 }
    expect(bindFault(errorOf('EACCES'), at)).toMatchObject({
      code: 'PORT_FORBIDDEN',
      message: 'no right to listen on [::]:53',
    })
    expect(bindFault(errorOf('ENOMEM'), at)).toMatchObject({ code: 'ENOMEM' })
  })

  it('an error that comes later is told, and does not end the process', async () => {
    const told: Error[] = []
    const listening = server()
    await listenOn(listening, LOOPBACK, (error) => told.push(error))
    const error = new Error('accept ENOBUFS')
    listening.emit('error', error)
    listening.emit('error', error)
    expect(told).toEqual([error, error])
    const quiet = server()
    await listenOn(quiet, LOOPBACK)
    expect(() => quiet.emit('error', error)).not.toThrow()
  })
})

it('connectionsOf knows the open connections', async () => {
  const listening = server()
  const open = connectionsOf(listening)
  const client = connect(await listenOn(listening, LOOPBACK))
  await once(listening, 'connection')
  expect(open.size).toBe(1)
  for (const socket of open) socket.resume()
  client.destroy()
  await within(
    'the end of the connection',
    (async () => {
      while (open.size > 0) await settle()
    })(),
  )
})
