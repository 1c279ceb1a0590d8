// Preloaded into PM2's instances: their configuration is wrong, though that of the ecosystem file was right.
if (process.env.pm2_env) {
  const settings = JSON.parse(process.env.pm2_env);
  settings.PORT = 'broken';
  process.env.pm2_env = JSON.stringify(settings);
}
