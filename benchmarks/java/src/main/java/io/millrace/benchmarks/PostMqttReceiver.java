package io.millrace.benchmarks;

import java.util.concurrent.atomic.AtomicReference;
import org.apache.spark.storage.StorageLevel;
import org.apache.spark.streaming.receiver.Receiver;
import org.eclipse.paho.client.mqttv3.IMqttDeliveryToken;
import org.eclipse.paho.client.mqttv3.MqttCallback;
import org.eclipse.paho.client.mqttv3.MqttClient;
import org.eclipse.paho.client.mqttv3.MqttException;
import org.eclipse.paho.client.mqttv3.MqttMessage;
import org.eclipse.paho.client.mqttv3.persist.MemoryPersistence;

/**
 * The receiver of the post "Custom MQTT Spark Receiver", written again in Java after its design, its weaknesses kept, since they are
 * what is measured: one client id for all, no session, a message acknowledged as soon as the callback returns, a client that is
 * promised once and so cannot be made again by a restart.
 */
abstract class PostMqttReceiver<T> extends Receiver<T> {
  private static final long serialVersionUID = 1L;

  private final String brokerUrl;
  private final String topic;
  /** Stands for the post's promise: it is kept once, and keeping it again is an error. */
  private final AtomicReference<MqttClient> promised = new AtomicReference<>();

  PostMqttReceiver(String brokerUrl, String topic) {
    super(StorageLevel.MEMORY_AND_DISK_2());
    this.brokerUrl = brokerUrl;
    this.topic = topic;
  }

  abstract void processMqttMessages(byte[] payload);

  @Override
  public void onStart() {
    try {
      MqttClient client = new MqttClient(brokerUrl, "SparkMqttClient", new MemoryPersistence());
      if (!promised.compareAndSet(null, client)) throw new IllegalStateException("Promise already completed.");
      client.setCallback(new Callback());
      try {
        client.connect();
      } catch (MqttException failure) {
        failure.printStackTrace();
      }
      try {
        client.subscribe(topic, 1);
      } catch (MqttException failure) {
        failure.printStackTrace();
      }
    } catch (MqttException failure) {
      throw new IllegalStateException(failure);
    }
  }

  @Override
  public void onStop() {
    MqttClient client = promised.get();
    if (client == null) return;
    try {
      client.close();
    } catch (MqttException failure) {
      failure.printStackTrace();
    }
  }

  private final class Callback implements MqttCallback {
    @Override
    public void connectionLost(Throwable cause) {
      restart("The connection to the MQTT broker was lost", cause);
    }

    @Override
    public void messageArrived(String from, MqttMessage message) {
      processMqttMessages(message.getPayload());
    }

    @Override
    public void deliveryComplete(IMqttDeliveryToken token) {}
  }
}
