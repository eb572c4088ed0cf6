//! What a broker does not take, and how it is said.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// What keeps a node with these options from coming up.
async fn why_not(options: Options) -> BrokerError {
    let (broker, mut events, _replies) = Broker::open(options);
    let event = timeout(PATIENCE, events.recv()).await.expect("an event in time").expect("the session lives");
    broker.close();
    match event {
        Event::Failed { error, .. } => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_message_without_a_queue_is_returned_and_its_neighbours_are_not() {
    on_every_broker(async |bed| {
        let (node, good) = (bed.node().await, bed.task("good"));
        let missing = bed.names.task(&QueueName::new("missing").expect("a name")).expect("short");
        node.broker.declare(good.clone()).await.expect("a queue");
        // Many at once, so that the broker confirms several with one word.
        for round in 0..20u32 {
            let receipts: Vec<(bool, Receipt)> = (0..100u32)
                .map(|n| (n.wrapping_mul(n) + round).is_multiple_of(7))
                .map(|bad| {
                    let to = if bad { missing.clone() } else { good.clone() };
                    (bad, node.broker.publish(Outgoing::new(to, "x")))
                })
                .collect();
            for (n, (bad, receipt)) in receipts.into_iter().enumerate() {
                let published = ended(receipt).await;
                assert_eq!(matches!(published, Published::Returned { .. }), bad, "{n} of {round}: {published:?}");
                assert!(bad || published == Published::Confirmed, "{n} of {round}: {published:?}");
            }
        }
        node.close().await;
    })
    .await;
}

#[tokio::test]
async fn of_two_addresses_the_one_that_lives_is_used() {
    on_every_broker(async |bed| {
        let mut options = bed.options();
        options.addresses = vec![Address { port: 1, ..bed.address.clone() }, bed.address.clone()];
        let (broker, events, replies) = Broker::open(options);
        let mut node = Node { broker, events, replies, connection: 0, reply_to: bed.names.dead() };
        let event = node.event().await;
        assert!(matches!(&event, Event::Failed { address, .. } if address.contains(":1/")), "{event:?}");
        let begun = std::time::Instant::now();
        node.up().await;
        assert!(begun.elapsed() < Duration::from_secs(2), "the second is tried at once: {:?}", begun.elapsed());
        node.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_said_without_the_password() {
    on_every_broker(async |bed| {
        let mut options = bed.options();
        let password = Some(crate::domain::secret::Hidden("wr0ng-pa55".to_owned()));
        options.addresses = vec![Address { user: Some("nobody".to_owned()), password, ..bed.address.clone() }];
        let error = why_not(options).await;
        assert!(matches!(&error, BrokerError::Login { user, .. } if user == "nobody"), "{error:?}");
        assert!(!error.waits() && !error.to_string().contains("wr0ng"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn what_does_not_answer_as_a_broker_is_named() {
    on_every_broker(async |bed| {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                // What is left unread would reset the connection, and with it what is written.
                let _ = client.read(&mut [0; 4096]).await;
                let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
            }
        });
        let mut options = bed.options();
        options.addresses = vec![Address { host: "127.0.0.1".to_owned(), port, ..bed.address.clone() }];
        let error = why_not(options).await;
        assert!(matches!(error, BrokerError::NotABroker { .. }), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn who_never_answers_is_given_up() {
    on_every_broker(async |bed| {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mut options = bed.options();
        options.timeout = Duration::from_millis(300);
        options.addresses = vec![Address { host: "127.0.0.1".to_owned(), port, ..bed.address.clone() }];
        let error = why_not(options).await;
        assert!(matches!(&error, BrokerError::Unreachable { .. }), "{error:?}");
        drop(listener);
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_is_not_there_is_named() {
    on_every_broker(async |bed| {
        let mut options = bed.options();
        options.tls = Tls { active: true, ca: Some("/no/such/ca.pem".into()), cert: None, key: None };
        let error = why_not(options.clone()).await;
        assert!(error.to_string().contains("/no/such/ca.pem: No such file"), "{error}");
        options.tls = Tls { active: true, cert: Some("/no/such/cert.pem".into()), ..Tls::default() };
        let error = why_not(options).await;
        assert!(matches!(&error, BrokerError::Tls { why, .. } if why.contains("belong together")), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_virtual_host_that_is_not_there_is_named() {
    on(Kind::Rabbit, async |bed: &Bed| {
        let mut options = bed.options();
        options.addresses = vec![Address { room: "no-such-vhost".to_owned(), ..bed.address.clone() }];
        let error = why_not(options).await;
        assert!(matches!(&error, BrokerError::VirtualHost { vhost, .. } if vhost == "no-such-vhost"), "{error:?}");
        assert!(error.to_string().contains("rabbitmqctl add_vhost"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_is_there_and_differs_is_named_with_what_differs() {
    on(Kind::Rabbit, async |bed: &Bed| {
        let (node, log) = (bed.node().await, bed.log());
        node.broker.declare(log.clone()).await.expect("a queue");
        let mut options = bed.options();
        options.shape.log_length = 7;
        let other = bed.node_with(options.clone()).await;
        let error = other.broker.declare(log.clone()).await.expect_err("another length");
        let BrokerError::Mismatch { queue, property, .. } = &error else { panic!("{error:?}") };
        assert_eq!((queue.as_str(), property.as_str()), (log.name(), "x-max-length"));
        assert!(error.to_string().contains("10000"), "{error}");
        other.close().await;
        options.queues = vec![log.clone()];
        let at_the_start = why_not(options).await;
        assert_eq!(at_the_start, error, "and a node that needs it does not come up");
        node.close().await;
    })
    .await;
}
