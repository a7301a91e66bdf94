/** The script of the page: shows Uppy's Dashboard, and uploads its files to `/files/`. */
import { Uppy } from '@uppy/core'
import Dashboard from '@uppy/dashboard'
import { PartialUpload } from 'partial-upload/uppy'

new Uppy()
  .use(Dashboard, { target: '#dashboard', inline: true, theme: 'auto', width: '100%' })
  .use(PartialUpload, { endpoint: '/files/' })
