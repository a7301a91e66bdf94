import express from 'express'
import { partialUpload, prepareServer } from 'partial-upload'
import { fsStorage } from 'partial-upload/storage/fs'

const app = express()
app.use('/files', partialUpload({ storage: fsStorage({ directory: './uploads' }) }))

const server = prepareServer(app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1'))
server.on('listening', () => console.log(server.address()))
