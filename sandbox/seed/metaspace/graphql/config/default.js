module.exports = { port: 3010, limits: { maxAnnotations: 10000 } }
