package io.millrace.benchmarks;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.storage.StorageLevel;
import org.apache.spark.streaming.receiver.Receiver;
import org.eclipse.paho.client.mqttv3.IMqttDeliveryToken;
import org.eclipse.paho.client.mqttv3.MqttCallback;
import org.eclipse.paho.client.mqttv3.MqttClient;
import org.eclipse.paho.client.mqttv3.MqttConnectOptions;
import org.eclipse.paho.client.mqttv3.MqttException;
import org.eclipse.paho.client.mqttv3.MqttMessage;
import org.eclipse.paho.client.mqttv3.persist.MemoryPersistence;

/**
 * The post's receiver with its faults mended, as well as Paho allows: a client id and a session of its own, messages collected for a
 * block interval, stored as one block, and acknowledged only then; a new client for each start.
 */
final class CarefulMqttReceiver extends Receiver<String> {
  private static final long serialVersionUID = 1L;
  private static final int BLOCK_BYTES_MAX = 1 << 20;

  private final String brokerUrl;
  private final String topic;
  private final String clientId;
  private final long blockIntervalMs;
  private transient volatile Session session;

  CarefulMqttReceiver(String brokerUrl, String topic, String clientId, long blockIntervalMs) {
    super(StorageLevel.MEMORY_AND_DISK_2());
    this.brokerUrl = brokerUrl;
    this.topic = topic;
    this.clientId = clientId;
    this.blockIntervalMs = blockIntervalMs;
  }

  @Override
  public void onStart() {
    session = new Session();
    session.start();
  }

  @Override
  public void onStop() {
    Session closing = session;
    session = null;
    if (closing != null) closing.interrupt();
  }

  /** One connection, and the thread that stores what it brings. */
  private final class Session extends Thread implements MqttCallback {
    private List<MqttMessage> waiting = new ArrayList<>();
    private long waitingBytes;

    Session() {
      super("careful-mqtt-receiver");
      setDaemon(true);
    }

    @Override
    public void run() {
      try (MqttClient client = new MqttClient(brokerUrl, clientId, new MemoryPersistence())) {
        client.setManualAcks(true);
        client.setCallback(this);
        MqttConnectOptions options = new MqttConnectOptions();
        options.setCleanSession(false);
        client.connect(options);
        client.subscribe(topic, 1);
        while (!isInterrupted() && client.isConnected()) storeNext(client);
        client.disconnect(1000);
      } catch (InterruptedException stopped) {
        Thread.currentThread().interrupt();
      } catch (MqttException | RuntimeException failure) {
        restart("Receiving from the MQTT broker failed", failure);
      }
    }

    private void storeNext(MqttClient client) throws InterruptedException, MqttException {
      List<MqttMessage> block = nextBlock();
      if (block.isEmpty()) return;
      List<String> lines = new ArrayList<>();
      for (MqttMessage message : block) new String(message.getPayload(), StandardCharsets.UTF_8).lines().forEach(lines::add);
      store(lines.iterator());
      for (MqttMessage message : block) client.messageArrivedComplete(message.getId(), message.getQos());
    }

    private synchronized List<MqttMessage> nextBlock() throws InterruptedException {
      long until = System.currentTimeMillis() + blockIntervalMs;
      for (long left = blockIntervalMs; left > 0 && waitingBytes < BLOCK_BYTES_MAX; left = until - System.currentTimeMillis()) wait(left);
      List<MqttMessage> block = waiting;
      waiting = new ArrayList<>();
      waitingBytes = 0;
      return block;
    }

    @Override
    public synchronized void messageArrived(String from, MqttMessage message) {
      waiting.add(message);
      waitingBytes += message.getPayload().length;
      if (waitingBytes >= BLOCK_BYTES_MAX) notifyAll();
    }

    @Override
    public void connectionLost(Throwable cause) {
      restart("The connection to the MQTT broker was lost", cause);
    }

    @Override
    public void deliveryComplete(IMqttDeliveryToken token) {}
  }
}
