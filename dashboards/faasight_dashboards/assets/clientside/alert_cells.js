/* Cells of the alerts' history. React escapes what it is given. */
(() => {
  const make = (...parts) => React.createElement(...parts);
  const mark = (kind, icon, text, title) => make('span', { className: `badge b-${kind}`, title }, icon ? make('span', { className: `i i-${icon}` }) : null, text);

  const STATES = { firing: ['error', 'bell'], pending: ['warn', 'hourglass'], recovering: ['cold', 'rotate-ccw'], resolved: ['ok', 'circle-check'] };
  const SEVERITIES = { critical: ['error', 'circle-x'], warning: ['warn', 'triangle-alert'], info: ['mute', 'info'] };
  const DELIVERIES = {
    sent: ['ok', 'check', 'The message was taken by the channel'],
    queued: ['warn', 'hourglass', 'The message waits to be sent'],
    broken: ['error', 'circle-x', 'The channel refuses the message: check its address'],
    none: ['mute', 'minus', 'No channel is told of this change'],
  };

  Object.assign((window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {}), {
    AlertTime: ({ data }) => make('span', { className: 'mono', title: data.utc }, data.at),
    AlertState: ({ value }) => mark(...(STATES[value] || ['mute', '']), value),
    AlertSeverity: ({ value }) => mark(...(SEVERITIES[value] || ['mute', '']), value),
    AlertDelivery: ({ value }) => {
      const [kind, icon, title] = DELIVERIES[value] || ['mute', '', ''];
      return mark(kind, icon, value, title);
    },
  });
})();
