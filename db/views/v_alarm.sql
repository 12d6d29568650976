-- Limits that were nearly reached (stopped_at NULL) or reached: a row for each account, limit and day or hour.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_alarm AS
SELECT alarm.account_id, account.name AS account_name, account.currency, alarm.kind, alarm.destination, alarm.since,
       alarm.limit_value, alarm.reached, alarm.first_at, alarm.last_at, alarm.times, alarm.refused, alarm.stopped_at,
       alarm.acknowledged_at, alarm.acknowledged_by
  FROM alarm
  STRAIGHT_JOIN account ON account.id = alarm.account_id
